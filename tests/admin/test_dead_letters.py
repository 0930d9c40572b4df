from hashlib import sha256

import msgspec
import pytest

from processor.admin.dead_letters import Letter, Lost, letter_of, resubmission
from processor.engine.inputs import Cause, Headers, Record, Undecodable
from processor.engine.outputs import DeadLetterFacts, dead_letter
from processor.kafka.produce import NewRecord

INPUTS = frozenset(("high", "normal"))
CAME: Headers = (("x", b"y"), ("ce_id", b"7"), ("dead-letter-code", b"not ours"), ("processor-seq", None))
RECORD = Record("normal", 0, 5, 1_700_000_000_000, b"cluster", b"z" * 100_000, CAME)


def letter(code: str = "undecodable", record: Record = RECORD) -> Letter:
    """The way of a record into the dead letters and back."""
    cause = Cause(record.topic, record.partition, record.offset, "", "")
    made = dead_letter(record, Undecodable(cause, code, "why"), DeadLetterFacts(9, 1, 0, 1), index=0)
    found = letter_of(Record("dead-letters", 0, 3, 0, made.key, made.value, made.headers))
    assert found is not None
    return found


def nothing(topic: str, partition: int, offset: int) -> None:
    del topic, partition, offset


def test_a_record_comes_back_as_it_came_but_for_what_dead_letters_add() -> None:
    again = resubmission(letter(), INPUTS, nothing)
    headers: Headers = (("x", b"y"), ("ce_id", b"7"), ("dead-letter-retry-of", b"normal-0-5"))
    assert again == NewRecord("normal", 0, b"cluster", RECORD.value, headers, RECORD.timestamp_ms)


def test_a_record_that_had_no_time_gets_the_time_of_its_submission() -> None:
    again = resubmission(letter(record=msgspec.structs.replace(RECORD, timestamp_ms=-1)), INPUTS, nothing)
    assert isinstance(again, NewRecord)
    assert again.at_ms is None


def test_a_second_retry_names_the_first() -> None:
    first = resubmission(letter(), INPUTS, nothing)
    assert isinstance(first, NewRecord)
    again = resubmission(
        letter(record=msgspec.structs.replace(RECORD, offset=6, headers=first.headers)), INPUTS, nothing
    )
    assert isinstance(again, NewRecord)
    assert again.headers[-1] == ("dead-letter-retry-of", b"normal-0-6")
    assert len(again.headers) == len(first.headers)


def test_one_that_was_cut_is_taken_whole_from_its_place() -> None:
    cut = letter("too_large")
    assert len(cut.value or b"") < len(RECORD.value or b"")
    again = resubmission(cut, INPUTS, lambda *place: RECORD if place == ("normal", 0, 5) else None)
    assert isinstance(again, NewRecord)
    assert again.value == RECORD.value


@pytest.mark.parametrize(
    ("found", "code", "record", "reason"),
    [
        (None, "too_large", RECORD, "only the first 65536 of 100000 bytes were kept, and the record is gone"),
        (
            msgspec.structs.replace(RECORD, value=b"other"),
            "too_large",
            RECORD,
            f"its SHA-256 is not {sha256(RECORD.value or b'').hexdigest()}",
        ),
        (None, "undecodable", msgspec.structs.replace(RECORD, topic="cats"), "cats is no input: high, normal"),
    ],
)
def test_what_cannot_come_back_is_lost_for_a_reason(
    found: Record | None, code: str, record: Record, reason: str
) -> None:
    again = resubmission(letter(code, record), INPUTS, lambda *_: found)
    assert isinstance(again, Lost)
    assert reason in again.reason


@pytest.mark.parametrize("headers", [(), (("dead-letter-code", b"x"),), (("dead-letter-code", b"x"), ("y", b"z"))])
def test_what_is_no_dead_letter_is_none(headers: Headers) -> None:
    assert letter_of(Record("dead-letters", 0, 0, 0, None, None, headers)) is None
