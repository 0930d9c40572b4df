from typing import Any

from processor.engine.announcements import Announcement, DeadLetter, OutboxEntry, StoredEntry
from processor.engine.outputs import change_records, commit_record, dead_letter_records
from processor.engine.values import Identity

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
