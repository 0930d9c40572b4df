from hashlib import sha256
from typing import Any

import msgspec
import pytest

from processor.engine.announcements import (
    CHANGES,
    COMMITS,
    DEAD_LETTERS,
    Announcement,
    DeadLetter,
    OutboxEntry,
    StoredEntry,
    Tail,
)
from processor.engine.errors import ShardRefused
from processor.engine.inputs import Cause, Headers, Record, Undecodable
from processor.engine.outputs import (
    TRUNCATED_HEADERS_MAX,
    DeadLetterFacts,
    change_records,
    clipped,
    commit_record,
    dead_letter,
    dead_letter_records,
    letter_bytes,
    tail_of,
)
from processor.engine.values import Identity
from tests.engine.world import EventCodec, JsonCodec, World

IDENTITY = Identity("app", 2, "north", 1)
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
ENTRY = StoredEntry(
    OutboxEntry(
        seq=7,
        epoch=40,
        committed_ms=1_700_000_000_123,
        first_number=100,
        announcements=(
            Announcement("device/ä", "twins.changes.DeviceChanged", b"first"),
            Announcement("rejected/e-1", "processor.changes.EventRejected", b"second", TRACE),
        ),
        dead_letters=(DeadLetter(None, b"bytes", (("error", b"why"),)),),
        commit_record=b"commit",
    ),
    revision=55,
)
SHARED = {
    "content-type": "application/avro",
    "ce_specversion": "1.0",
    "ce_source": "/processor/app/2",
    "ce_time": "2023-11-14T22:13:20.123Z",
    "processor-seq": "7",
    "processor-epoch": "40",
    "processor-shard": "2",
    "processor-revision": "55",
}


def headers(record: Any) -> dict[str, str]:
    assert len(dict(record.headers)) == len(record.headers)
    return {name: value.decode() for name, value in record.headers}


def test_an_announcement_says_where_it_stands_and_what_it_is() -> None:
    first, second = change_records(ENTRY, IDENTITY)

    assert (first.role, first.key, first.value) == ("changes", "device/ä".encode(), b"first")
    assert headers(first) == {
        **SHARED,
        "ce_type": "twins.changes.DeviceChanged",
        "ce_subject": "device/ä",
        "ce_id": "2-7-0",
        "processor-index": "0",
        "processor-count": "2",
        "processor-number": "100",
    }
    assert headers(second)["traceparent"] == TRACE
    assert (headers(second)["ce_id"], headers(second)["processor-number"]) == ("2-7-1", "101")


def test_publishing_resumed_in_the_middle_gives_the_same_records() -> None:
    assert change_records(ENTRY, IDENTITY, start=1) == change_records(ENTRY, IDENTITY)[1:]


def test_the_commit_record_is_keyed_by_its_seq() -> None:
    record = commit_record(ENTRY, IDENTITY)

    assert (record.role, record.key, record.value) == ("commits", b"7", b"commit")
    assert headers(record) == {
        **SHARED,
        "ce_type": "processor.commits.Commit",
        "ce_subject": "7",
        "ce_id": "2-7",
    }


def test_a_dead_letter_keeps_the_headers_that_were_made_with_the_commit() -> None:
    (record,) = dead_letter_records(ENTRY)

    assert (record.key, record.value, record.headers) == (None, b"bytes", (("error", b"why"),))


PLACE: Headers = (
    ("processor-seq", b"12"),
    ("processor-epoch", b"345"),
    ("processor-index", b"6"),
    ("processor-count", b"7"),
)


def record(headers: Headers) -> Record:
    return Record("topic", 3, 99, 1, b"key", b"value", headers)


def test_an_announcement_tells_its_place_and_number() -> None:
    tail = tail_of(CHANGES, record((*PLACE, ("processor-number", b"890"))), low=0)

    assert tail == Tail(seq=12, epoch=345, index=6, count=7, number=890)


def test_a_dead_letter_has_no_number_and_the_last_header_of_a_name_is_ours() -> None:
    tail = tail_of(DEAD_LETTERS, record((("processor-seq", b"from its producer"), *PLACE)), low=5)

    assert tail == Tail(seq=12, epoch=345, index=6, count=7, number=-1)


def test_a_commit_log_record_has_neither_index_nor_count() -> None:
    assert tail_of(COMMITS, record(PLACE[:2]), low=0) == Tail(seq=12, epoch=345, index=0, count=1)


@pytest.mark.parametrize(("low", "emptied"), [(0, False), (1, True)])
def test_no_record_is_told_from_records_removed(low: int, emptied: bool) -> None:  # noqa: FBT001 - what is expected
    assert tail_of(CHANGES, None, low=low) == Tail(seq=None, emptied=emptied)


@pytest.mark.parametrize("missing", range(4))
def test_a_record_without_one_of_the_headers_is_refused_with_its_place(missing: int) -> None:
    headers = PLACE[:missing] + PLACE[missing + 1 :]

    with pytest.raises(ShardRefused, match=rf"topic\[3\].*offset 99.*{PLACE[missing][0]}"):
        tail_of(CHANGES, record(headers), low=0)


@pytest.mark.parametrize("value", [None, b"", b"-1", b"x", "²".encode()])
def test_a_header_that_is_no_number_is_refused(value: bytes | None) -> None:
    with pytest.raises(ShardRefused, match="processor-seq"):
        tail_of(CHANGES, record((("processor-seq", value), *PLACE[1:])), low=0)


FACTS = DeadLetterFacts(seq=7, epoch=3, shard=1, count=2)


def why(code: str, message: str = "m") -> Undecodable:
    return Undecodable(Cause("t", 0, 5, "id", "unknown"), code, message, "ValueError")


def test_the_original_bytes_and_headers_come_first_then_ours() -> None:
    record = Record("t", 0, 5, 1234, b"k", b"\xff\x00", (("processor-seq", b"theirs"), ("a", None)))
    letter = dead_letter(record, why("undecodable"), FACTS, index=1)
    assert (letter.key, letter.value, letter.headers[:2]) == (b"k", b"\xff\x00", record.headers)
    ours = dict(letter.headers)
    assert ours["processor-seq"] == b"7", "of several headers with one name the last is ours"
    assert ours["dead-letter-code"] == b"undecodable"
    assert ours["dead-letter-timestamp"] == b"1234"
    assert (ours["processor-index"], ours["processor-count"]) == (b"1", b"2")


def test_a_record_too_large_keeps_its_beginning_its_size_and_its_hash() -> None:
    value = bytes(1_000_000)
    record = Record("t", 0, 5, 0, None, value, (("small", b"1"), ("large", bytes(100_000))))
    letter = dead_letter(record, why("too_large"), FACTS, index=0)
    ours = dict(letter.headers)
    assert letter.value == value[:65_536]
    assert ours["dead-letter-truncated"] == b"1000000"
    assert ours["dead-letter-sha256"] == sha256(value).hexdigest().encode()
    assert "small" in ours
    assert "large" not in ours


def test_the_size_of_a_dead_letter_is_that_of_key_value_and_headers() -> None:
    assert letter_bytes(DeadLetter(b"k", b"value", (("a", b"12"), ("é", None)))) == 1 + 5 + 3 + 2


def test_of_headers_too_many_the_first_are_kept() -> None:
    record = Record("t", 0, 5, 0, None, b"", tuple((f"h{number}", None) for number in range(100_000)))
    letter = dead_letter(record, why("too_large"), FACTS, index=0)
    assert letter.headers[:TRUNCATED_HEADERS_MAX] == record.headers[:TRUNCATED_HEADERS_MAX]
    assert letter.headers[TRUNCATED_HEADERS_MAX][0] == "dead-letter-code"


def test_text_is_clipped_between_characters() -> None:
    assert clipped("aé", 2) == "a"
    assert clipped("aé", 3) == "aé"
    assert (
        len(
            dict(dead_letter(Record("t", 0, 0, 0, None, b""), why("x", "é" * 5000), FACTS, index=0).headers)[
                "dead-letter-message"
            ]
            or b""
        )
        == 1024
    )


class Traced(JsonCodec):
    def identify(self, record: Record) -> Undecodable:
        cause = msgspec.structs.replace(super().identify(record).cause, traceparent=f"trace-{record.offset}")
        return Undecodable(cause, "", "")


@pytest.mark.parametrize(
    ("batch", "changes"), [(1, [b"trace-0", b"trace-1", b"trace-2"]), (10, [None, None, b"trace-2"])]
)
def test_the_trace_of_an_event_goes_on_where_an_announcement_has_no_other_cause(
    batch: int, changes: list[bytes | None]
) -> None:
    world = World(batch_events_max=batch)
    for device in ("one", "two"):
        world.submit("DeviceReported", device=device, reading=1)
    world.submit("DeviceRetired", device="ghost")
    world.run(world.parts(decoder=EventCodec(Traced())))
    assert [dict(record.headers).get("traceparent") for record in world.output("changes")] == changes
