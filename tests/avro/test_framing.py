from pathlib import Path

import pytest

from processor.avro.catalogue import Catalogue
from processor.avro.framing import (
    SchemaId,
    Unframed,
    no_registry,
    read_framing,
    read_single_object,
    single_object_prefix,
)
from processor.avro.schema import Schema
from tests.avro.shop import write_schemas

NUMBER = b"\x00\x00\x00\x01\x02"
GUID = bytes(range(16))


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue.load(write_schemas(tmp_path))


@pytest.fixture
def shelf(catalogue: Catalogue) -> Schema:
    return catalogue.require("shop.state.TopShelf")


def test_a_single_object_value_names_its_schema_by_fingerprint(catalogue: Catalogue, shelf: Schema) -> None:
    value = single_object_prefix(shelf) + b"body"
    assert value[:2] == b"\xc3\x01"
    assert read_framing(value, None, catalogue, no_registry) == (shelf, 10)
    assert read_single_object(value, catalogue) is shelf


def test_a_confluent_prefix_names_its_schema_by_number(catalogue: Catalogue, shelf: Schema) -> None:
    asked: list[SchemaId] = []

    def resolve(schema_id: SchemaId) -> Schema:
        asked.append(schema_id)
        return shelf

    assert read_framing(NUMBER + b"body", None, catalogue, resolve) == (shelf, 5)
    assert asked == [258]


@pytest.mark.parametrize(("header", "schema_id"), [(NUMBER, 258), (b"\x01" + GUID, GUID)])
def test_a_confluent_header_names_the_schema_of_a_bare_body(
    catalogue: Catalogue, shelf: Schema, header: bytes, schema_id: SchemaId
) -> None:
    known = {schema_id: shelf}
    assert read_framing(b"\xc3\x01", header, catalogue, known.get) == (shelf, 0)


@pytest.mark.parametrize("header", [b"", b"\x00", b"\x00" * 4, b"\x00" * 6, b"\x01" + bytes(15), b"\x02" * 5])
def test_a_malformed_header_is_undecodable(catalogue: Catalogue, header: bytes) -> None:
    with pytest.raises(Unframed, match="__value_schema_id") as raised:
        read_framing(b"", header, catalogue, no_registry)
    assert raised.value.code == "undecodable"


@pytest.mark.parametrize("header", [None, NUMBER, b"\x01" + GUID])
def test_without_a_registry_no_id_is_known(catalogue: Catalogue, header: bytes | None) -> None:
    with pytest.raises(Unframed) as raised:
        read_framing(NUMBER, header, catalogue, no_registry)
    assert raised.value.code == "unknown_schema"


def test_an_unknown_fingerprint_is_an_unknown_schema(catalogue: Catalogue) -> None:
    with pytest.raises(Unframed, match="ff" * 8) as raised:
        read_framing(b"\xc3\x01" + b"\xff" * 8, None, catalogue, no_registry)
    assert raised.value.code == "unknown_schema"


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x00" * 4, b"\xc3", b"\xc3\x01" + bytes(7), b"{}", b"\xff" * 20])
def test_other_beginnings_are_undecodable(catalogue: Catalogue, value: bytes) -> None:
    with pytest.raises(Unframed) as raised:
        read_framing(value, None, catalogue, no_registry)
    assert raised.value.code == "undecodable"
