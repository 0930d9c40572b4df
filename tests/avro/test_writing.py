import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given

from processor.avro.schema import SchemaInvalid, parse_schema
from processor.avro.wire import encode_text
from processor.avro.writing import compile_partial_writer, compile_writer
from tests.avro.random_schemas import reference_bytes, values
from tests.avro.shop import Item, ItemCounted, ItemMoved, Owner, Tag, TopShelf, current_entity, shop_catalogue

SHELF = parse_schema(current_entity())
WRITE = compile_writer(SHELF, SHELF.parsed, TopShelf)


@given(values(SHELF))
def test_a_writer_writes_what_the_reference_writes(data: Any) -> None:
    assert WRITE(msgspec.convert(data, TopShelf)) == reference_bytes(SHELF, data)


def test_a_writer_puts_its_prefix_first() -> None:
    owner = compile_writer(SHELF, "shop.state.Owner", Owner, prefix=b"prefix")
    assert owner(Owner("ann", 5)) == b"prefix" + encode_text("ann") + b"\x0a"


class Everything(msgspec.Struct):
    none: None
    small: int
    single: float
    raw: bytes
    id: bytes


EVERYTHING = parse_schema(
    {
        "type": "record",
        "name": "Everything",
        "fields": [
            *({"name": "none", "type": "null"}, {"name": "small", "type": "int"}, {"name": "single", "type": "float"}),
            *({"name": "raw", "type": "bytes"}, {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 2}}),
        ],
    }
)


@given(values(EVERYTHING))
def test_every_other_type_is_written_as_the_reference_does(data: Any) -> None:
    write = compile_writer(EVERYTHING, EVERYTHING.parsed, Everything)
    assert write(Everything(**data)) == reference_bytes(EVERYTHING, data)


def test_fixed_bytes_of_another_size_are_refused() -> None:
    write = compile_writer(EVERYTHING, EVERYTHING.parsed, Everything)
    with pytest.raises(ValueError, match="3 bytes where 2 belong"):
        write(Everything(None, 1, 1.0, b"", b"abc"))


def test_a_partial_writer_fills_in_constants_and_nulls(tmp_path: Path) -> None:
    changed = shop_catalogue(tmp_path).require("shop.changes.TopShelfChanged")
    record = "shop.changes.TopShelfTransition"
    moved = compile_partial_writer(changed, record, ItemMoved, {"type": encode_text("ItemMoved")})
    assert moved(ItemMoved("s1", "here")) == reference_bytes_of(
        changed.names[record], {"type": "ItemMoved", "sku": "s1", "from": "here", "count": None}
    )
    counted = compile_partial_writer(changed, record, ItemCounted, {"type": encode_text("never used")})
    for count in (None, 7):
        assert counted(ItemCounted("Counted", count)) == reference_bytes_of(
            changed.names[record], {"type": "Counted", "sku": None, "from": None, "count": count}
        )


def reference_bytes_of(definition: dict[str, Any], data: dict[str, Any]) -> bytes:
    return reference_bytes(parse_schema(definition), data)


def test_a_partial_writer_needs_something_for_what_is_not_optional(tmp_path: Path) -> None:
    changed = shop_catalogue(tmp_path).require("shop.changes.TopShelfChanged")
    with pytest.raises(SchemaInvalid, match="type"):
        compile_partial_writer(changed, "shop.changes.TopShelfTransition", ItemMoved, {})


@pytest.mark.parametrize(
    ("type_", "annotation"),
    [
        ({"type": "map", "values": "string"}, dict[str, str]),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, str),
        (["long", "null"], int | None),
        (["null", "long", "string"], int | str | None),
    ],
)
def test_what_has_no_canonical_form_is_refused(type_: Any, annotation: Any) -> None:
    holder = msgspec.defstruct("R", [("a", annotation)])
    schema = parse_schema({"type": "record", "name": "R", "fields": [{"name": "a", "type": type_}]})
    with pytest.raises(SchemaInvalid):
        compile_writer(schema, schema.parsed, holder)


class Tree(msgspec.Struct):
    inner: "tuple[Tree, ...]"


def test_a_record_that_contains_itself_is_refused() -> None:
    fields = [{"name": "inner", "type": {"type": "array", "items": "Tree"}}]
    schema = parse_schema({"type": "record", "name": "Tree", "fields": fields})
    with pytest.raises(SchemaInvalid, match="itself"):
        compile_writer(schema, schema.parsed, Tree)


def test_only_records_have_writers() -> None:
    with pytest.raises(SchemaInvalid, match="not a record"):
        compile_writer(SHELF, "string", Tag)


def test_values_of_another_type_are_not_written_silently() -> None:
    shelf = TopShelf("a", True, None, None, (Item("s", 1, ()),), (), 1.0)  # noqa: FBT003 - the struct's own order
    for wrong in ({"name": None}, {"name": 5}, {"open": None}, {"ratio": "x"}, {"limit": "x"}):
        with pytest.raises((TypeError, AttributeError, KeyError, struct.error)):
            WRITE(msgspec.structs.replace(shelf, **wrong))
