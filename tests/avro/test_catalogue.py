import json
from pathlib import Path

import pytest

from processor.avro.catalogue import Catalogue, read_schema
from processor.avro.schema import SchemaInvalid, parse_schema
from tests.avro.shop import older_entity, write_schemas


def test_current_schemas_are_found_by_full_and_short_name(tmp_path: Path) -> None:
    catalogue = Catalogue.load(write_schemas(tmp_path))
    schema = catalogue.require("shop.state.TopShelf")
    assert catalogue.record("shop.state.TopShelf") is schema is catalogue.record("TopShelf")
    assert catalogue.record("Shelf") is None
    assert set(catalogue.current) == {"shop.state.TopShelf", "shop.changes.TopShelfChanged"}


def test_released_schemas_are_found_by_fingerprint_only(tmp_path: Path) -> None:
    catalogue = Catalogue.load(write_schemas(tmp_path))
    older = parse_schema(older_entity())
    assert catalogue.schema_of(older.fingerprint) == older
    assert catalogue.require("shop.state.TopShelf").fingerprint != older.fingerprint
    assert older in list(catalogue)


def test_an_unknown_fingerprint_is_none() -> None:
    assert Catalogue([]).schema_of(bytes(8)) is None


def test_a_short_name_of_two_records_finds_neither(tmp_path: Path) -> None:
    for namespace in ("one", "two"):
        definition: dict[str, object] = {"type": "record", "name": "Same", "namespace": namespace, "fields": []}
        (tmp_path / f"{namespace}.avsc").write_text(json.dumps(definition))
    catalogue = Catalogue.load(tmp_path)
    assert catalogue.record("Same") is None
    assert catalogue.namespace("two") == {"Same": catalogue.require("two.Same")}


def test_a_missing_schema_is_named() -> None:
    with pytest.raises(SchemaInvalid, match="Nothing is missing"):
        Catalogue([]).require("shop.state.Nothing")


def test_a_record_defined_twice_is_refused() -> None:
    schema = parse_schema({"type": "record", "name": "R", "fields": []})
    with pytest.raises(SchemaInvalid, match="twice"):
        Catalogue([schema, schema])


def test_a_folder_without_schemas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaInvalid, match="no schemas"):
        Catalogue.load(tmp_path)


def test_a_mounted_config_map_shows_each_schema_once(tmp_path: Path) -> None:
    (tmp_path / "..2026_11_28").mkdir()
    write_schemas(tmp_path / "..2026_11_28")
    (tmp_path / "..data").symlink_to("..2026_11_28")
    for folder in (tmp_path / "..2026_11_28").iterdir():
        (tmp_path / folder.name).symlink_to(f"..data/{folder.name}")
    assert set(Catalogue.load(tmp_path).current) == {"shop.state.TopShelf", "shop.changes.TopShelfChanged"}


@pytest.mark.parametrize("text", ["{", '"string"', '{"type": "record", "fields": []}'])
def test_a_file_that_is_no_schema_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "Broken.avsc"
    path.write_text(text)
    with pytest.raises(SchemaInvalid, match="Broken"):
        read_schema(path)
