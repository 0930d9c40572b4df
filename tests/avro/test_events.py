from typing import Any

import msgspec
import pytest

from processor.avro.events import JSON_DEPTH_MAX, compile_event_reader, read_json, without_nulls
from processor.avro.schema import parse_schema
from processor.avro.wire import Malformed
from tests.avro.random_schemas import reference_bytes

INNER = {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": ["null", "long"], "default": None}]}
LIST = {"type": "array", "items": INNER}
NOW = parse_schema(
    {
        "type": "record",
        "name": "any.Opened",
        "fields": [
            *({"name": "who", "type": "string"}, {"name": "all", "type": LIST}),
            {"name": "note", "type": ["null", "string"], "default": None},
        ],
    }
)
BEFORE = parse_schema(
    {
        "type": "record",
        "name": "any.Opened",
        "fields": [
            *({"name": "who", "type": "string"}, {"name": "all", "type": LIST}),
            {"name": "colour", "type": ["null", "string"], "default": None},
        ],
    }
)
DATA = {"who": "ann", "all": [{"x": 1}, {"x": None}]}


def test_null_is_absent() -> None:
    read = compile_event_reader(NOW, NOW)
    assert read(reference_bytes(NOW, DATA), 0) == {"who": "ann", "all": [{"x": 1}, {}]}
    assert read(reference_bytes(NOW, {**DATA, "note": "hi"}), 0)["note"] == "hi"


def test_null_is_absent_in_what_is_resolved() -> None:
    read = compile_event_reader(BEFORE, NOW)
    body = b"prefix" + reference_bytes(BEFORE, {**DATA, "colour": "red"})
    assert read(body, 6) == {"who": "ann", "all": [{"x": 1}, {}]}


def test_what_is_resolved_is_checked_before() -> None:
    read = compile_event_reader(BEFORE, NOW)
    with pytest.raises(Malformed):
        read(reference_bytes(BEFORE, DATA) + b"\x00", 0)


def test_only_nulls_are_left_out() -> None:
    assert without_nulls({"a": None, "b": 0, "c": "", "d": False}) == {"b": 0, "c": "", "d": False}


@pytest.mark.parametrize("document", [{"a": [1, None, 2**70]}, [], "x", None, 1.5])
def test_json_is_read_as_it_is(document: Any) -> None:
    assert read_json(msgspec.json.encode(document)) == document


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"{} {}",
        b"NaN",
        b'"\\ud800"',
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b"9" * 5000,
        b"1e999",
        b"\x00\x00\x00\x00\x01",
    ],
)
def test_what_is_no_json_is_malformed(value: bytes) -> None:
    with pytest.raises(Malformed):
        read_json(value)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_is_read_down_to_the_limit(opening: bytes, closing: bytes) -> None:
    assert read_json(opening * JSON_DEPTH_MAX + b"1" + closing * JSON_DEPTH_MAX)
    for depth in (JSON_DEPTH_MAX + 1, 100_000):
        with pytest.raises(Malformed, match="deep"):
            read_json(opening * depth + b"1" + closing * depth)
