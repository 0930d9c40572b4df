"""The records that an outbox entry becomes: headers derived from its place, the same whoever publishes it. Pure."""

from datetime import UTC, datetime

from processor.engine.compose import Identity
from processor.engine.values import CHANGES, COMMITS, DEAD_LETTERS, Headers, OutputRecord, StoredEntry

COMMIT_TYPE = "processor.commits.Commit"


def change_records(stored: StoredEntry, identity: Identity, *, start: int = 0) -> list[OutputRecord]:
    """Return the entry's announcements from index `start` on."""
    entry = stored.entry
    shared = _shared(stored, identity)
    count = str(len(entry.announcements))
    records = []
    for index, item in enumerate(entry.announcements[start:], start=start):
        headers = [
            *shared,
            ("ce_type", item.type),
            ("ce_subject", item.key),
            ("ce_id", f"{identity.shard}-{entry.seq}-{index}"),
            ("processor-index", str(index)),
            ("processor-count", count),
            ("processor-number", str(entry.first_number + index)),
        ]
        if item.traceparent is not None:
            headers.append(("traceparent", item.traceparent))
        records.append(OutputRecord(CHANGES, item.key.encode(), item.value, _encoded(headers)))
    return records


def dead_letter_records(stored: StoredEntry, *, start: int = 0) -> list[OutputRecord]:
    """Return the entry's dead letters from index `start` on; their headers were made with the commit."""
    return [
        OutputRecord(DEAD_LETTERS, item.key, item.value, item.headers) for item in stored.entry.dead_letters[start:]
    ]


def commit_record(stored: StoredEntry, identity: Identity) -> OutputRecord:
    """Return the entry's commit-log record."""
    seq = str(stored.entry.seq)
    headers = [
        *_shared(stored, identity),
        ("ce_type", COMMIT_TYPE),
        ("ce_subject", seq),
        ("ce_id", f"{identity.shard}-{seq}"),
    ]
    return OutputRecord(COMMITS, seq.encode(), stored.entry.commit_record, _encoded(headers))


def rfc3339(time_ms: int) -> str:
    """Return a time in ms as RFC 3339 with milliseconds, UTC."""
    seconds, millis = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def _shared(stored: StoredEntry, identity: Identity) -> list[tuple[str, str]]:
    entry = stored.entry
    return [
        ("content-type", "application/avro"),
        ("ce_specversion", "1.0"),
        ("ce_source", f"/processor/{identity.app}/{identity.shard}"),
        ("ce_time", rfc3339(entry.committed_ms)),
        ("processor-seq", str(entry.seq)),
        ("processor-epoch", str(entry.epoch)),
        ("processor-shard", str(identity.shard)),
        ("processor-revision", str(stored.revision)),
    ]


def _encoded(headers: list[tuple[str, str]]) -> Headers:
    return tuple((name, text.encode()) for name, text in headers)
