import json
from pathlib import Path
from typing import Any

import pytest

from processor.avro.releases import Conflict, conflicts, load_histories
from processor.avro.schema import SchemaInvalid

ID = {"name": "id", "type": "string"}
COUNT = {"name": "count", "type": "long"}
NOTE = {"name": "note", "type": "string", "default": ""}


def write(directory: Path, versions: dict[str, list[Any]], name: str = "shop.events.Opened") -> Path:
    """Write versions of `Opened`: `current` or a number → fields."""
    for version, fields in versions.items():
        place = "events/Opened.avsc" if version == "current" else f"released/events/Opened/{version}.avsc"
        path = directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"type": "record", "name": name, "fields": fields}))
    return directory


def found(directory: Path) -> list[tuple[str, str, str]]:
    return [(one.writer, one.reader, one.path) for history in load_histories(directory) for one in conflicts(history)]


def test_versions_that_add_and_remove_fields_with_defaults_go_together(tmp_path: Path) -> None:
    write(tmp_path, {"1": [ID], "2": [ID, NOTE], "current": [ID, {**COUNT, "default": 1}]})
    (history,) = load_histories(tmp_path)
    assert list(history.versions) == ["1", "2", "current"]
    assert (history.record, history.version) == ("shop.events.Opened", 0)
    assert conflicts(history) == ()


def test_each_version_is_compared_with_every_other_in_both_directions(tmp_path: Path) -> None:
    write(tmp_path, {"1": [ID], "2": [ID, NOTE], "3": [ID, COUNT], "current": [ID, COUNT]})
    expected = {("1", "3"), ("2", "3"), ("1", "current"), ("2", "current")}
    assert {(writer, reader) for writer, reader, path in found(tmp_path) if path == "Opened.count"} == expected
    assert len(found(tmp_path)) == len(expected)


def test_neighbours_that_go_together_do_not_make_the_first_and_the_last_do(tmp_path: Path) -> None:
    text = {"name": "n", "type": "string", "default": ""}
    write(tmp_path, {"1": [ID, {**text, "type": "long", "default": 0}], "2": [ID], "current": [ID, text]})
    assert set(found(tmp_path)) == {("1", "current", "Opened.n"), ("current", "1", "Opened.n")}


def test_a_default_of_the_current_schema_counts_though_its_form_was_released_without(tmp_path: Path) -> None:
    write(tmp_path, {"1": [ID], "2": [ID, {**COUNT, "default": 0}], "current": [ID, COUNT]})
    assert load_histories(tmp_path)[0].version == 2
    assert found(tmp_path) == [("1", "current", "Opened.count")]


def test_a_record_that_was_released_stays(tmp_path: Path) -> None:
    write(tmp_path, {"1": [ID], "2": [ID, NOTE]})
    (history,) = load_histories(tmp_path)
    assert conflicts(history) == (
        Conflict("shop.events.Opened", "2", "current", "", "was released and is not there any more"),
    )


@pytest.mark.parametrize("versions", [{"2": [ID]}, {"1": [ID], "3": [ID]}, {"first": [ID]}])
def test_released_versions_are_numbered(tmp_path: Path, versions: dict[str, list[Any]]) -> None:
    with pytest.raises(SchemaInvalid, match="number"):
        load_histories(write(tmp_path, versions))


def test_a_record_keeps_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"1": [ID]}, name="shop.events.Begun")
    with pytest.raises(SchemaInvalid, match=r"several names: shop\.events\.Begun, shop\.events\.Opened"):
        load_histories(write(tmp_path, {"current": [ID]}))
