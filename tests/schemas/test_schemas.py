import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.avro.catalogue import RELEASED, Catalogue, read_schema

PROJECT = Path(__file__).resolve().parents[2]
SCHEMAS = PROJECT / "schemas"
FROZEN = Path(__file__).with_name("released.sha256")
PARTS = ("events", "state", "changes", "commits")
CATALOGUE = Catalogue.load(SCHEMAS)
CURRENT = sorted(path.relative_to(SCHEMAS) for part in PARTS for path in (SCHEMAS / part).glob("*.avsc"))
RELEASES = sorted(path.relative_to(SCHEMAS) for path in (SCHEMAS / RELEASED).rglob("*.avsc"))
UNITS = {
    "_ms": ("in milliseconds",),
    "memory": ("in bytes",),
    "percent": ("in percent",),
    "_port": ("TCP port",),
    "weight": ("in percent", "relative"),
}


def definitions(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every named type and every field."""
    if isinstance(node, list):
        for part in node:
            yield from definitions(part)
    elif isinstance(node, dict):
        if "name" in node:
            yield node
        for key, part in node.items():
            if key != "default":
                yield from definitions(part)


def test_every_part_is_there() -> None:
    assert {path.parts[0] for path in CURRENT} == set(PARTS)


@pytest.mark.parametrize("path", CURRENT, ids=str)
def test_a_file_holds_the_record_of_its_name_in_the_namespace_of_its_folder(path: Path) -> None:
    assert read_schema(SCHEMAS / path).name == f"processor.{path.parent}.{path.stem}"


@pytest.mark.parametrize("path", CURRENT, ids=str)
def test_everything_in_a_schema_says_what_it_is(path: Path) -> None:
    for definition in definitions(json.loads((SCHEMAS / path).read_text())):
        assert len(definition.get("doc", "")) > 10, definition["name"]
        for ending, words in UNITS.items():
            if definition["name"].endswith(ending) and "type" in definition and definition["type"] != "record":
                assert any(word in definition["doc"] for word in words), definition["name"]


@pytest.mark.parametrize("path", CURRENT, ids=str)
def test_numbers_are_long_and_words_are_strings(path: Path) -> None:
    text = (SCHEMAS / path).read_text()
    assert not {'"int"', '"float"', '"double"', '"enum"', '"bytes"'} & set(text.replace(",", " ").split())
    assert path.parts[0] == "events" or '"map"' not in text


@pytest.mark.parametrize("path", CURRENT, ids=str)
def test_a_schema_was_released_as_it_is_or_in_an_earlier_form(path: Path) -> None:
    released = [SCHEMAS / release for release in RELEASES if release.parts[1:-1] == (path.parts[0], path.stem)]
    assert released
    assert {read_schema(release).name for release in released} == {read_schema(SCHEMAS / path).name}


def test_released_versions_are_numbered_from_one_without_holes() -> None:
    numbers: dict[Path, list[int]] = {}
    for path in RELEASES:
        numbers.setdefault(path.parent, []).append(int(path.stem))
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in numbers.values())


def test_what_was_released_is_frozen() -> None:
    frozen = {path: digest for digest, path in map(str.split, FROZEN.read_text().splitlines())}
    found = {str(path): hashlib.sha256((SCHEMAS / path).read_bytes()).hexdigest() for path in RELEASES}
    assert found == frozen


def test_every_released_version_is_read_without_a_registry() -> None:
    for path in RELEASES:
        schema = read_schema(SCHEMAS / path)
        known = CATALOGUE.schema_of(schema.fingerprint)
        assert known is not None
        assert known.canonical == schema.canonical


def test_the_entity_in_a_change_is_the_stored_one() -> None:
    for schema in CATALOGUE.namespace("processor.state").values():
        changed = CATALOGUE.require(f"processor.changes.{schema.short_name}Changed")
        assert changed.canonical_part(schema.name) == schema.canonical
