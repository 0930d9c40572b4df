import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.avro.catalogue import Catalogue
from processor.avro.decoder import AvroEventDecoder
from processor.avro.envelope import HEADERS_MAX
from processor.avro.framing import single_object_prefix
from processor.avro.guard import VALUE_BYTES_MAX
from processor.avro.schema import Schema, parse_schema
from processor.engine.inputs import Accepted, Cause, Decoded, Headers, Invalid, Record, Undecodable
from processor.engine.ports import EventDecoder
from tests.avro.random_schemas import damaged, reference_bytes


def event(name: str, *fields: tuple[str, Any, Any], namespace: str = "shop.events") -> Schema:
    stated = [
        {"name": field, "type": type_} | ({} if default is ... else {"default": default})
        for field, type_, default in fields
    ]
    return parse_schema({"type": "record", "name": name, "namespace": namespace, "fields": stated})


ID = ("id", "string", ...)
OPENED = event("Opened", ID, ("count", "long", 0), ("note", ["null", "string"], None))
OPENED_BEFORE = event("Opened", ID, ("colour", "string", ...))
OPENED_OTHERWISE = event("Opened", ("id", "long", ...))
STATE = event("Shelf", ID, namespace="shop.state")
GONE = event("Gone", ID)
ELSEWHERE = event("Opened", ID, namespace="elsewhere.events")
CATALOGUE = Catalogue([OPENED, STATE], [OPENED_BEFORE, OPENED_OTHERWISE, GONE, ELSEWHERE])
DATA = {"id": "a", "count": 3, "note": None}
JSON: Headers = (("content-type", b"application/json; charset=utf-8"), ("ce_type", b"Opened"))


class Refused(Exception):
    pass


def parse(event_type: str, at_ms: int, data: Mapping[str, Any]) -> tuple[str, int, Mapping[str, Any]]:
    if data.get("id") == "bad" or set(data) - {"id", "count", "note"}:
        raise Refused("id: is bad " + "é" * 1000)
    return event_type, at_ms, data


DECODER: EventDecoder = AvroEventDecoder(
    CATALOGUE,
    parse,
    Refused,
    namespace="shop.events",
    resolve_id={7: OPENED, 8: STATE, b"g" * 16: OPENED_BEFORE}.get,
)


def framed(schema: Schema, data: Mapping[str, Any]) -> bytes:
    return single_object_prefix(schema) + reference_bytes(schema, data)


def record(value: bytes | None, *headers: tuple[str, bytes | None], timestamp_ms: int = 1000) -> Record:
    return Record("in", 2, 17, timestamp_ms, b"key", value, headers)


def accepted(decoded: Decoded) -> Any:
    assert isinstance(decoded, Accepted)
    return decoded.event


def refused(decoded: Decoded) -> tuple[str, str]:
    assert isinstance(decoded, Undecodable)
    return decoded.code, decoded.cause.event_type


def test_an_event_is_decoded_with_its_cause() -> None:
    decoded = DECODER.decode(record(framed(OPENED, DATA)))
    assert decoded == Accepted(Cause("in", 2, 17, "in-2-17", "Opened", None), ("Opened", 1000, {"id": "a", "count": 3}))


def test_id_and_trace_come_from_the_headers_and_the_last_of_a_name_counts() -> None:
    trace = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
    headers = [("ce_id", b"first"), ("ce_id", b"last"), ("traceparent", trace), ("ce_type", b"Whatever")]
    decoded = DECODER.decode(record(framed(OPENED, DATA), *headers))
    assert decoded.cause == Cause("in", 2, 17, "last", "Opened", trace.decode())


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b"\x00\x00\x00\x00\x07" + reference_bytes(OPENED, DATA), []),
        (reference_bytes(OPENED, DATA), [("__value_schema_id", b"\x00\x00\x00\x00\x07")]),
        (framed(OPENED, DATA), [("content-type", b"application/avro")]),
    ],
)
def test_every_framing_gives_the_same_event(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    for _ in range(2):
        assert accepted(DECODER.decode(record(value, *headers))) == ("Opened", 1000, {"id": "a", "count": 3})


def test_an_older_schema_is_resolved_to_the_current_one() -> None:
    body = reference_bytes(OPENED_BEFORE, {"id": "a", "colour": "red"})
    expected = ("Opened", 1000, {"id": "a", "count": 0})
    assert accepted(DECODER.decode(record(single_object_prefix(OPENED_BEFORE) + body))) == expected
    assert accepted(DECODER.decode(record(body, ("__value_schema_id", b"\x01" + b"g" * 16)))) == expected


def test_what_the_border_refuses_is_invalid_with_a_bounded_message() -> None:
    decoded = DECODER.decode(record(framed(OPENED, {**DATA, "id": "bad"})))
    assert isinstance(decoded, Invalid)
    assert decoded.cause.event_type == "Opened"
    assert decoded.message.startswith("id: is bad é")
    assert 1000 < len(decoded.message.encode()) <= 1024


@pytest.mark.parametrize(
    ("value", "code", "event_type"),
    [
        (None, "undecodable", "unknown"),
        (b"", "undecodable", "unknown"),
        (b'{"id": "a"}', "undecodable", "unknown"),
        (framed(OPENED, DATA) + b"\x00", "undecodable", "Opened"),
        (framed(OPENED, DATA)[:-1], "undecodable", "Opened"),
        (framed(OPENED_BEFORE, {"id": "a", "colour": "red"}) + b"\x00", "undecodable", "Opened"),
        (framed(OPENED_OTHERWISE, {"id": 1}), "undecodable", "Opened"),
        (b"\xc3\x01" + bytes(8), "unknown_schema", "unknown"),
        (b"\x00\x00\x00\x00\x09", "unknown_schema", "unknown"),
        (framed(STATE, {"id": "a"}), "unknown_type", "Shelf"),
        (b"\x00\x00\x00\x00\x08\x02a", "unknown_type", "Shelf"),
        (framed(GONE, {"id": "a"}), "unknown_type", "Gone"),
        (framed(ELSEWHERE, {"id": "a"}), "unknown_type", "Opened"),
    ],
)
def test_what_cannot_be_decoded_says_why(value: bytes | None, code: str, event_type: str) -> None:
    for _ in range(2):
        assert refused(DECODER.decode(record(value))) == (code, event_type)


def test_the_message_of_an_undecodable_record_names_field_byte_and_exception() -> None:
    decoded = DECODER.decode(record(framed(OPENED, DATA)[:12]))
    assert isinstance(decoded, Undecodable)
    assert decoded.message == "shop.events.Opened: count, byte 12: ends 1 bytes early"
    assert decoded.exception == "IndexError"


def test_the_type_of_an_undecodable_record_is_guessed_from_its_headers() -> None:
    assert refused(DECODER.decode(record(b"", ("ce_type", b"shop.events.Opened")))) == ("undecodable", "Opened")


def test_a_record_without_timestamp_is_undecodable() -> None:
    assert refused(DECODER.decode(record(framed(OPENED, DATA), timestamp_ms=-1))) == ("undecodable", "Opened")


def test_a_record_above_the_limit_is_never_decoded() -> None:
    value = framed(OPENED, {**DATA, "note": "x" * (VALUE_BYTES_MAX - 40)})
    room = VALUE_BYTES_MAX - len(value) - len("key") - len("h")
    assert room > 0
    assert accepted(DECODER.decode(record(value, ("h", bytes(room)))))
    assert refused(DECODER.decode(record(value, ("h", bytes(room + 1))))) == ("too_large", "Opened")


def test_a_record_with_more_headers_than_allowed_is_never_decoded() -> None:
    headers: list[tuple[str, bytes | None]] = [("h", None)] * HEADERS_MAX
    assert accepted(DECODER.decode(record(framed(OPENED, DATA), *headers)))
    assert refused(DECODER.decode(record(framed(OPENED, DATA), *headers, ("h", None)))) == ("too_large", "Opened")


def test_what_is_too_large_is_that_first_of_all() -> None:
    huge = bytes(VALUE_BYTES_MAX)
    assert refused(DECODER.decode(record(None, ("h", huge), timestamp_ms=-1))) == ("too_large", "unknown")
    assert refused(DECODER.identify(record(huge))) == ("too_large", "unknown")


def test_json_is_an_event_when_the_headers_say_so() -> None:
    for stated in (b"Opened", b"shop.events.Opened"):
        decoded = DECODER.decode(record(b'{"id": "a", "note": null}', JSON[0], ("ce_type", stated)))
        assert accepted(decoded) == ("Opened", 1000, {"id": "a", "note": None})


def test_json_may_have_a_border_of_its_own() -> None:
    def parse_json(event_type: str, at_ms: int, data: Mapping[str, Any]) -> str:
        return f"{event_type} {at_ms} {json.dumps(data)}"

    decoder = AvroEventDecoder(CATALOGUE, parse, Refused, parse_json=parse_json, namespace="shop.events")
    assert accepted(decoder.decode(record(b'{"id": "bad"}', *JSON))) == 'Opened 1000 {"id": "bad"}'
    assert isinstance(decoder.decode(record(framed(OPENED, {**DATA, "id": "bad"}))), Invalid)


@pytest.mark.parametrize("value", [b'{"id": "a", "more": 1}', b"[]", b"null", b'"x"', b"5"])
def test_json_that_is_not_the_event_is_invalid(value: bytes) -> None:
    assert isinstance(DECODER.decode(record(value, *JSON)), Invalid)


@pytest.mark.parametrize("value", [b"", b"{", b"[" * 100_000, b"{}{}", b"\xc3\x01", b'{"id": "\\ud800"}'])
def test_what_is_no_json_is_undecodable(value: bytes) -> None:
    assert refused(DECODER.decode(record(value, *JSON)))[0] == "undecodable"


@pytest.mark.parametrize("stated", [None, b"", b"Closed", b"Shelf", b"shop.state.Shelf", b"Gone", b"\xff"])
def test_json_of_no_current_event_is_of_unknown_type(stated: bytes | None) -> None:
    assert refused(DECODER.decode(record(b"{}", JSON[0], ("ce_type", stated))))[0] == "unknown_type"


def test_a_record_is_identified_without_reading_its_value() -> None:
    value = framed(OPENED, DATA)[:10]
    assert DECODER.identify(record(value, ("ce_id", b"me"))) == Undecodable(Cause("in", 2, 17, "me", "Opened"), "", "")
    assert DECODER.identify(record(None)) == Undecodable(Cause("in", 2, 17, "in-2-17", "unknown"), "", "")


HEADERS = st.sampled_from(
    [
        *(("content-type", b"application/json"), ("content-type", None), ("content-type", b"\xff;")),
        *(("ce_type", b"Opened"), ("ce_type", b"\xff"), ("ce_id", b"\xff" * 300), ("traceparent", b"\x00")),
        *(("__value_schema_id", b"\x00\x00\x00\x00\x07"), ("__value_schema_id", b""), ("__value_schema_id", None)),
    ]
)
VALUES = st.one_of(
    st.none(),
    st.binary(max_size=40),
    damaged(framed(OPENED, DATA)),
    damaged(framed(OPENED_BEFORE, {"id": "a", "colour": "red"})),
    damaged(b'{"id": "a", "count": 1}'),
    st.binary(max_size=40).map(lambda body: single_object_prefix(OPENED) + body),
)


@given(VALUES, st.lists(HEADERS, max_size=4))
def test_decoding_is_total(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    decoded = DECODER.decode(record(value, *headers))
    assert isinstance(decoded, Accepted | Invalid | Undecodable)
    if isinstance(decoded, Undecodable):
        assert decoded.code in {"undecodable", "unknown_schema", "unknown_type"}
        assert len(decoded.message.encode()) <= 1024
