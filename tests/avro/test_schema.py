from typing import Any

import pytest

from processor.avro.schema import NESTING_MAX, SchemaInvalid, inner_types, parse_schema

POINT = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "long"}, {"name": "y", "type": "double"}]}
LINE = {
    "type": "record",
    "name": "Line",
    "namespace": "geo",
    "doc": "Between two points.",
    "fields": [
        {"name": "start", "type": POINT, "doc": "Here it starts."},
        {"name": "end", "type": ["null", "Point"], "default": None},
        {"name": "colours", "type": {"type": "array", "items": {"type": "string"}}},
        {"name": "named", "type": {"type": "map", "values": "geo.Point"}},
    ],
}


def test_a_schema_knows_its_name_and_namespace() -> None:
    schema = parse_schema(LINE)
    assert (schema.name, schema.short_name, schema.namespace) == ("geo.Line", "Line", "geo")


def test_the_fingerprint_is_the_little_endian_rabin_fingerprint_of_the_canonical_form() -> None:
    schema = parse_schema({"type": "record", "name": "a.R", "fields": [{"name": "f", "type": "int", "doc": "x"}]})
    assert schema.canonical == '{"name":"a.R","type":"record","fields":[{"name":"f","type":"int"}]}'
    assert int.from_bytes(schema.fingerprint, "little") == rabin(schema.canonical.encode())


def rabin(content: bytes) -> int:
    """CRC-64-AVRO as the specification defines it."""
    empty = 0xC15D213AA4D7A795
    fingerprint = empty
    for byte in content:
        fingerprint ^= byte
        for _ in range(8):
            fingerprint = (fingerprint >> 1) ^ (empty if fingerprint & 1 else 0)
    return fingerprint


def test_docs_and_defaults_do_not_change_the_fingerprint() -> None:
    bare = {**LINE, "fields": [{"name": f["name"], "type": f["type"]} for f in LINE["fields"] if isinstance(f, dict)]}
    assert parse_schema(bare).fingerprint == parse_schema(LINE).fingerprint


def test_logical_types_are_left_out() -> None:
    at: Any = {"type": "long", "logicalType": "timestamp-millis"}
    schema = parse_schema({"type": "record", "name": "R", "fields": [{"name": "at", "type": at, "default": 0}]})
    assert schema.resolve(schema.parsed["fields"][0]["type"]) == "long"
    assert schema.parsed["fields"][0]["default"] == 0
    assert "logicalType" not in str(schema.parsed)


def test_references_and_wrapped_primitives_are_resolved() -> None:
    schema = parse_schema(LINE)
    assert schema.resolve("geo.Point") == schema.resolve(schema.parsed["fields"][0]["type"])
    assert schema.resolve({"type": {"type": "string"}}) == "string"


@pytest.mark.parametrize(
    ("type_", "bytes_min"),
    [
        ("null", 0),
        ("long", 1),
        ("float", 4),
        ("double", 8),
        ("geo.Point", 9),
        (["double", "null"], 1),
        ("geo.Line", 12),
    ],
)
def test_the_fewest_bytes_of_a_type(type_: Any, bytes_min: int) -> None:
    assert parse_schema(LINE).bytes_min(type_) == bytes_min


def test_the_fewest_bytes_of_a_type_that_contains_itself() -> None:
    fields = [
        {"name": "left", "type": ["null", "Tree"]},
        {"name": "id", "type": {"type": "fixed", "name": "I", "size": 4}},
    ]
    assert parse_schema({"type": "record", "name": "Tree", "fields": fields}).bytes_min("Tree") == 5


def test_references_are_counted_by_place() -> None:
    assert sorted(parse_schema(LINE).references()) == ["geo.Line", "geo.Point", "geo.Point", "geo.Point"]


def test_a_part_has_the_canonical_form_that_it_has_by_itself() -> None:
    alone = parse_schema({**POINT, "namespace": "geo"})
    assert parse_schema(LINE).canonical_part("geo.Point") == alone.canonical


def test_a_part_that_needs_its_surroundings_is_refused() -> None:
    pair = {"type": "record", "name": "Pair", "fields": [{"name": "one", "type": "Point"}]}
    fields = [{"name": "point", "type": POINT}, {"name": "pair", "type": pair}]
    schema = parse_schema({"type": "record", "name": "R", "fields": fields})
    with pytest.raises(SchemaInvalid, match="by itself"):
        schema.canonical_part("Pair")


def test_inner_types_are_what_a_definition_is_made_of() -> None:
    assert inner_types({"type": "enum", "symbols": ["A"]}) == []
    assert inner_types({"type": "map", "values": "long"}) == ["long"]


@pytest.mark.parametrize(
    "definition",
    [
        "string",
        ["null", "long"],
        {"type": "array", "items": "long"},
        {"type": "record", "fields": []},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "Unknown"}]},
        {"type": "record", "name": "R", "fields": [{"name": "a"}]},
        {"type": "record", "name": "R", "fields": 5},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "fixed", "name": "F", "size": "9"}}]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "fixed", "name": "F", "size": -1}}]},
    ],
)
def test_what_is_no_record_schema_is_refused(definition: Any) -> None:
    with pytest.raises(SchemaInvalid):
        parse_schema(definition)


def test_types_nested_beyond_the_limit_are_refused() -> None:
    type_: Any = "long"
    for _ in range(NESTING_MAX):
        type_ = {"type": "array", "items": type_}
    with pytest.raises(SchemaInvalid, match="deep"):
        parse_schema({"type": "record", "name": "R", "fields": [{"name": "a", "type": type_}]})
