import json
from pathlib import Path
from typing import Any

import pytest

from processor.avro.catalogue import Catalogue
from processor.cli.exits import Exit
from processor.client.codec import EventEncoder
from processor.configuration.settings import PROJECT_DIRECTORY
from tests.cli.conftest import Cli


def test_a_value_becomes_json(cli: Cli) -> None:
    encode = EventEncoder(Catalogue.load(PROJECT_DIRECTORY / "schemas"))
    value, _ = encode("ModelUnloadRequested", {"model": "iris", "generation": 4})
    told = cli("schemas", "decode", value.hex())
    assert told.json == {
        "type": "processor.events.ModelUnloadRequested",
        "value": {"model": "iris", "generation": 4},
    }


def test_what_is_no_value_is_invalid(cli: Cli) -> None:
    for text in ("zz", "00", "c30100000000000000ff"):
        assert cli("schemas", "decode", text).code == Exit.INVALID_DATA


def test_every_schema_is_listed_by_its_fingerprint(cli: Cli) -> None:
    rows = {row["name"]: row for row in cli("schemas", "list", "-o", "json").json}
    assert "processor.state.Model" in rows
    assert len({row["fingerprint"] for row in rows.values()}) == len(rows)


def test_the_version_that_a_schema_was_released_as_is_listed(cli: Cli) -> None:
    versions = {row["name"]: row["version"] for row in cli("schemas", "list", "-o", "json").json}
    assert versions["processor.events.ClockTicked"] == 1


def test_the_schemas_of_this_build_go_together(cli: Cli) -> None:
    told = cli("schemas", "check")
    assert (told.code, told.out) == (Exit.OK, "")
    assert told.err.endswith("all are compatible\n")


def write_versions(directory: Path, *fields: dict[str, Any]) -> None:
    """Write a record `Opened` whose first version has the first field, and which now has all."""
    for place, stated in (("released/events/Opened/1.avsc", fields[:1]), ("events/Opened.avsc", fields)):
        path = directory / place
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"type": "record", "name": "shop.events.Opened", "fields": list(stated)}))


def test_versions_that_do_not_go_together_are_named_with_the_field(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_versions(tmp_path, {"name": "id", "type": "string"}, {"name": "count", "type": "long"})
    monkeypatch.setenv("PROCESSOR_SCHEMAS_DIR", str(tmp_path))
    told = cli("schemas", "check", "-o", "json")
    assert told.code == Exit.DIFFERS
    assert told.json == [
        {
            "record": "shop.events.Opened",
            "writer": "1",
            "reader": "current",
            "path": "Opened.count",
            "reason": "the writer does not have it, and the reader has no default for it",
        }
    ]
    table = cli("schemas", "check").out
    assert table.splitlines()[0].split() == ["RECORD", "WRITER", "READER", "PATH", "REASON"]
    assert "Opened.count" in table


@pytest.mark.parametrize("command", ["list", "check"])
@pytest.mark.parametrize(("folder", "fault"), [("empty", "no schemas"), ("nowhere", "No such file or directory")])
def test_a_folder_without_schemas_is_an_error_that_names_it(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, folder: str, fault: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PROCESSOR_SCHEMAS_DIR", str(tmp_path / folder))
    told = cli("schemas", command)
    assert (told.code, told.out) == (Exit.USAGE, "")
    assert f"{tmp_path / folder}: {fault}" in told.err
    assert "PROCESSOR_SCHEMAS_DIR" in told.err
