"""The records that an outbox entry becomes: headers derived from its place, the same whoever publishes it. Pure."""

from datetime import UTC, datetime

from processor.engine.compose import Identity
from processor.engine.inputs import Headers
from processor.engine.values import CHANGES, COMMITS, DEAD_LETTERS, Omitted, OutputRecord, StoredEntry

OMITTED_HEADERS: dict[Omitted, str] = {
    "before": "processor-before",
    "after": "processor-after",
    "transitions": "processor-transitions",
}
"""Part of a change → the header that says `omitted` where it is left out because the record would be too large."""
COMMIT_TYPE = "processor.commits.Commit"


def change_records(stored: StoredEntry, identity: Identity, *, start: int = 0) -> list[OutputRecord]:
    """Return the entry's announcements from index `start` on."""
    entry = stored.entry
    shared = _shared(stored, identity)
    count = ("processor-count", _digits(len(entry.announcements)))
    entry_id = f"{identity.shard}-{entry.seq}-".encode()
    records = []
    for index, item in enumerate(entry.announcements[start:], start=start):
        key, place = item.key.encode(), _digits(index)
        headers: Headers = (
            *shared,
            ("ce_type", item.type.encode()),
            ("ce_subject", key),
            ("ce_id", entry_id + place),
            ("processor-index", place),
            count,
            ("processor-number", _digits(entry.first_number + index)),
        )
        if item.omitted:
            headers += tuple((OMITTED_HEADERS[part], b"omitted") for part in item.omitted)
        if item.traceparent is not None:
            headers = (*headers, ("traceparent", item.traceparent.encode()))
        records.append(OutputRecord(CHANGES, key, item.value, headers))
    return records


def dead_letter_records(stored: StoredEntry, *, start: int = 0) -> list[OutputRecord]:
    """Return the entry's dead letters from index `start` on; their headers were made with the commit."""
    return [
        OutputRecord(DEAD_LETTERS, item.key, item.value, item.headers) for item in stored.entry.dead_letters[start:]
    ]


def commit_record(stored: StoredEntry, identity: Identity) -> OutputRecord:
    """Return the entry's commit-log record."""
    seq = _digits(stored.entry.seq)
    headers: Headers = (
        *_shared(stored, identity),
        ("ce_type", COMMIT_TYPE.encode()),
        ("ce_subject", seq),
        ("ce_id", _digits(identity.shard) + b"-" + seq),
    )
    return OutputRecord(COMMITS, seq, stored.entry.commit_record, headers)


def rfc3339(time_ms: int) -> str:
    """Return a time in ms as RFC 3339 with milliseconds, UTC."""
    seconds, millis = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def _shared(stored: StoredEntry, identity: Identity) -> Headers:
    """Return what stands on every record of the entry; encoded once, however many there are."""
    entry = stored.entry
    return (
        ("content-type", b"application/avro"),
        ("ce_specversion", b"1.0"),
        ("ce_source", f"/processor/{identity.app}/{identity.shard}".encode()),
        ("ce_time", rfc3339(entry.committed_ms).encode()),
        ("processor-seq", _digits(entry.seq)),
        ("processor-epoch", _digits(entry.epoch)),
        ("processor-shard", _digits(identity.shard)),
        ("processor-revision", _digits(stored.revision)),
    )


def _digits(number: int) -> bytes:
    return b"%d" % number
