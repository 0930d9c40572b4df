import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.avro.envelope import cause_of, exceeds, header_text, is_json, stated_type
from processor.engine.inputs import Cause, Record

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RECORD = Record("in", 2, 17, 1000, b"key", b"value", (("name", b"content"), ("empty", None)))
RECORD_BYTES = len("keyvaluenamecontentempty")


def test_a_record_exceeds_with_key_and_headers() -> None:
    assert not exceeds(RECORD, RECORD_BYTES)
    assert exceeds(RECORD, RECORD_BYTES - 1)


def test_a_record_without_anything_exceeds_nothing() -> None:
    assert not exceeds(Record("in", 2, 17, 1000, None, None), 0)


def test_the_event_id_is_made_of_the_position_when_none_is_stated() -> None:
    assert cause_of(RECORD, {}, "Opened") == Cause("in", 2, 17, "in-2-17", "Opened", None)
    for absent in (None, b""):
        assert cause_of(RECORD, {"ce_id": absent}, "Opened").event_id == "in-2-17"


def test_the_event_id_is_the_stated_one() -> None:
    assert cause_of(RECORD, {"ce_id": "é-1".encode()}, "Opened").event_id == "é-1"


@given(st.binary(min_size=1, max_size=600))
def test_a_stated_event_id_is_text_of_at_most_256_bytes(stated: bytes) -> None:
    event_id = cause_of(RECORD, {"ce_id": stated}, "Opened").event_id
    assert 0 < len(event_id.encode()) <= 256


def test_a_long_event_id_is_cut_between_characters() -> None:
    assert header_text({"ce_id": b"x" + "é".encode() * 200}, "ce_id") == "x" + "é" * 127


@pytest.mark.parametrize(
    ("stated", "carried"),
    [
        (TRACE, TRACE.decode()),
        (None, None),
        (b"", None),
        (b"00-00", None),
        (TRACE + b"\n", None),
        (TRACE.upper(), None),
    ],
)
def test_only_a_well_formed_trace_parent_is_carried(stated: bytes | None, carried: str | None) -> None:
    assert cause_of(RECORD, {"traceparent": stated}, "Opened").traceparent == carried


@pytest.mark.parametrize("stated", [b"shop.events.Opened", b"Opened"])
def test_the_type_is_stated_in_full_or_short(stated: bytes) -> None:
    assert stated_type({"ce_type": stated}, "shop.events") == "Opened"


def test_a_type_of_another_namespace_stays_as_it_is() -> None:
    assert stated_type({"ce_type": b"other.Opened"}, "shop.events") == "other.Opened"
    assert stated_type({}, "shop.events") == ""


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        *((b"application/json", True), (b"Application/JSON; charset=utf-8", True), (b" application/json ;x", True)),
        *((b"application/avro", False), (b"application/json5", False), (b"", False), (None, False), (b"\xff", False)),
    ],
)
def test_json_is_told_by_its_content_type(content_type: bytes | None, *, answer: bool) -> None:
    assert is_json({"content-type": content_type}) is answer
