from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.avro.catalogue import Catalogue
from processor.avro.framing import Unframed
from processor.avro.records import RecordCodec
from processor.avro.schema import Schema, parse_schema
from processor.avro.wire import Malformed
from tests.avro.random_schemas import reference_bytes, schemas, values

OPENED = parse_schema(
    {
        "type": "record",
        "name": "shop.Opened",
        "fields": [
            *({"name": "count", "type": "long"}, {"name": "words", "type": {"type": "array", "items": "string"}}),
            {"name": "note", "type": ["null", "string"], "default": None},
        ],
    }
)
CODEC = RecordCodec(Catalogue([OPENED]))


def test_a_record_is_written_with_defaults_and_read_in_full() -> None:
    value = CODEC.encode_record(OPENED, {"count": 1, "words": ("a", "b")})
    assert CODEC.decode_record(value) == ("shop.Opened", {"count": 1, "words": ["a", "b"], "note": None})


@given(data=st.data(), schema=schemas())
def test_records_of_any_schema_are_read_in_the_version_they_were_written_with(
    data: st.DataObject, schema: Schema
) -> None:
    body = reference_bytes(schema, data.draw(values(schema)))
    value = b"\xc3\x01" + schema.fingerprint + body
    name, plain = RecordCodec(Catalogue([], [schema])).decode_record(value)
    assert name == schema.name
    assert reference_bytes(schema, plain) == body


@pytest.mark.parametrize(
    "data",
    [
        *(
            {},
            {"count": 1},
            {"count": 1, "words": [], "more": 1},
            {"count": None, "words": []},
            {"count": 1, "words": 5},
        ),
        *({"count": 1.0, "words": []}, {"count": True, "words": []}, {"count": 2**63, "words": []}),
        *({"count": 1, "words": "ab"}, {"count": 1, "words": [1]}, {"count": 1, "words": [], "note": 5}),
        {"count": "1", "words": []},
    ],
)
def test_data_that_does_not_fit_exactly_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match=r"shop\.Opened"):
        CODEC.encode_record(OPENED, data)


def test_a_damaged_value_is_refused_with_the_reason() -> None:
    value = CODEC.encode_record(OPENED, {"count": 1, "words": []})
    with pytest.raises(Malformed, match="1 bytes too many"):
        CODEC.decode_record(value + b"\x00")


def test_a_value_of_no_known_schema_is_refused() -> None:
    with pytest.raises(Unframed):
        CODEC.decode_record(b"\xc3\x01" + bytes(8))
