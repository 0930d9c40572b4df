import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.avro.guard import DEPTH_MAX, check
from processor.avro.reading import REFUSALS, PlainShape, compile_reader
from processor.avro.schema import Schema, SchemaInvalid, parse_schema
from processor.avro.wire import Malformed, encode_long, encode_text
from tests.avro.random_schemas import damaged, reference_bytes, reference_data, schemas, values


def record(**fields: Any) -> Schema:
    listed = [{"name": name, "type": type_} for name, type_ in fields.items()]
    return parse_schema({"type": "record", "name": "any.Record", "fields": listed})


def read(schema: Schema, body: bytes) -> Any:
    return compile_reader(schema, PlainShape())(body, 0)


@given(data=st.data(), schema=schemas())
def test_a_reader_reads_what_the_reference_writes(data: st.DataObject, schema: Schema) -> None:
    plain = data.draw(values(schema))
    body = reference_bytes(schema, plain)
    assert read(schema, body) == reference_data(schema, body)
    check(schema, body, 0)


@given(data=st.data(), schema=schemas())
def test_reader_and_guard_refuse_the_same_bytes_and_agree_with_the_reference(
    data: st.DataObject, schema: Schema
) -> None:
    body = data.draw(damaged(reference_bytes(schema, data.draw(values(schema)))))
    try:
        read_data = read(schema, body)
    except REFUSALS:
        with pytest.raises(Malformed):
            check(schema, body, 0)
    else:
        check(schema, body, 0)
        # compared as bytes: damage can make a number that equals nothing, itself included
        assert reference_bytes(schema, read_data) == reference_bytes(schema, reference_data(schema, body))


def test_a_reader_starts_where_it_is_told() -> None:
    assert compile_reader(record(a="long"), PlainShape())(b"prefix\x02", 6) == {"a": 1}


@pytest.mark.parametrize(
    ("schema", "body", "reason"),
    [
        (record(a="long"), b"\x02\x00", "1 bytes too many"),
        (record(a="long"), b"", "ends 1 bytes early"),
        (record(a="boolean"), b"\x02", "boolean is neither 0 nor 1"),
        (record(a="int"), encode_long(1 << 39), "beyond 32 bits"),
        (record(a="long"), b"\xff" * 9 + b"\x02", "beyond 64 bits"),
        (record(a="long"), b"\xff" * 10 + b"\x00", "beyond 64 bits"),
        (record(a=["null", "long"]), encode_long(-1) + b"\x00", "union branch -1"),
        (record(a=["null", "long"]), encode_long(2) + b"\x00", "union branch 2"),
        (record(a={"type": "enum", "name": "E", "symbols": ["A"]}), encode_long(-1), "enum symbol -1"),
        (record(a="string"), encode_long(-1), "negative length"),
        (record(a="string"), encode_long(1 << 62), "bytes early"),
        (record(a="string", b="string"), encode_long(1 << 62) + b"\x00", "bytes early"),
        (record(a="string"), b"\x02\xff", "not UTF-8"),
        (record(a="string"), b"\x06\xed\xa0\x80", "not UTF-8"),
        (record(a={"type": "array", "items": "string"}), encode_long(1 << 40) + b"\x00", "cannot fit"),
        (record(a={"type": "array", "items": "string"}), encode_long(-(1 << 63)) + b"\x00\x00", "cannot fit"),
        (record(a={"type": "array", "items": "long"}), encode_long(-1) + b"\x08\x00\x00", "block does not end"),
        (record(a={"type": "array", "items": "long"}), encode_long(-1) + b"\x01\x00\x00", "negative length"),
        (record(a={"type": "array", "items": "null"}), encode_long(1 << 62) + b"\x00", "items of no size"),
        (record(a={"type": "map", "values": "null"}), encode_long(1 << 62) + b"\x00", "cannot fit"),
        (record(a={"type": "fixed", "name": "F", "size": 9}), b"\x00" * 8, "1 bytes early"),
        (record(a="double"), b"\x00" * 7, "1 bytes early"),
    ],
)
def test_hostile_bytes_are_refused_with_a_reason(schema: Schema, body: bytes, reason: str) -> None:
    with pytest.raises(REFUSALS):
        read(schema, body)
    with pytest.raises(Malformed, match=reason):
        check(schema, body, 0)


def test_a_block_that_states_its_size_is_read() -> None:
    items = encode_text("a") + encode_text("bc")
    body = encode_long(-2) + encode_long(len(items)) + items + encode_long(1) + encode_text("d") + b"\x00"
    schema = record(a={"type": "array", "items": "string"})
    assert read(schema, body) == {"a": ["a", "bc", "d"]} == reference_data(schema, body)


def test_a_number_may_be_written_longer_than_it_needs_to_be() -> None:
    assert read(record(a="long", b=["null", "long"]), b"\x82\x00\x82\x80\x00\x02") == {"a": 1, "b": 1}


def nested(depth: int) -> bytes:
    return b"\x02" * depth + b"\x00"


CHAIN = parse_schema(
    {"type": "record", "name": "any.Chain", "fields": [{"name": "next", "type": ["null", "any.Chain"]}]}
)


def test_a_record_within_itself_is_read_down_to_the_limit() -> None:
    data = read(CHAIN, nested(DEPTH_MAX - 1))
    for _ in range(DEPTH_MAX - 1):
        data = data["next"]
    assert data == {"next": None}


def test_deeper_nesting_is_refused() -> None:
    for depth in (DEPTH_MAX, 700_000):
        with pytest.raises(Malformed):
            read(CHAIN, nested(depth))
        with pytest.raises(Malformed, match="nested more than"):
            check(CHAIN, nested(depth), 0)


def test_a_schema_with_loops_nested_beyond_what_python_allows_is_refused() -> None:
    type_: Any = "long"
    for _ in range(15):
        type_ = {"type": "array", "items": type_}
    with pytest.raises(SchemaInvalid, match="nested too deep"):
        compile_reader(record(a=type_), PlainShape())


def test_floating_point_numbers_are_little_endian() -> None:
    assert read(record(a="float", b="double"), struct.pack("<fd", 1.5, -2.25)) == {"a": 1.5, "b": -2.25}
