import io
from typing import Any

import fastavro
import pytest

from processor.avro.resolution import EXPLAINED_BYTES_MAX, explain, resolve
from processor.avro.schema import Schema, parse_schema
from processor.avro.wire import Malformed, encode_text


def record(*fields: dict[str, Any], name: str = "any.R") -> Schema:
    return parse_schema({"type": "record", "name": name, "fields": list(fields)})


OLD = record({"name": "a", "type": "long"}, {"name": "gone", "type": "string"})
BODY = b"\x02\x04no"


def test_fields_that_are_gone_are_dropped_and_new_ones_get_their_defaults() -> None:
    new = record({"name": "b", "type": ["null", "string"], "default": None}, {"name": "a", "type": "long"})
    assert resolve(BODY, OLD, new) == {"a": 1, "b": None}


@pytest.mark.parametrize(
    "new",
    [
        record({"name": "a", "type": "string"}),
        record({"name": "a", "type": "long"}, {"name": "b", "type": "long"}),
        record({"name": "a", "type": "long"}, name="any.Other"),
        record({"name": "a", "type": "long", "aliases": ["gone"]}),
    ],
)
def test_schemas_that_do_not_match_are_malformed(new: Schema) -> None:
    with pytest.raises(Malformed, match=r"any\.R"):
        resolve(BODY, OLD, new)


def test_bytes_that_become_text_and_are_none_are_malformed() -> None:
    old, new = record({"name": "a", "type": "bytes"}), record({"name": "a", "type": "string"})
    body = io.BytesIO()
    fastavro.schemaless_writer(body, old.parsed, {"a": b"\xff"})
    with pytest.raises(Malformed, match="utf-8"):
        resolve(body.getvalue(), old, new)


def test_a_refusal_is_explained_by_the_field_and_the_byte() -> None:
    assert explain(OLD, BODY[:-1], 0, IndexError("index")) == "any.R: gone, byte 2: ends 1 bytes early"


def test_a_refused_large_value_is_not_walked_again() -> None:
    large = b"\x02" + encode_text("x" * EXPLAINED_BYTES_MAX) + b"\x00"
    assert explain(OLD, large, 0, Malformed("does not end with the value")) == "any.R: does not end with the value"


def test_a_refusal_that_the_bytes_do_not_explain_speaks_for_itself() -> None:
    assert explain(OLD, BODY, 0, Malformed("does not match")) == "does not match"
