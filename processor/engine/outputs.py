"""The records that an outbox entry becomes, their headers, and the way back from a record's headers. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from processor.engine.announcements import (
    CHANGES,
    COMMITS,
    DEAD_LETTERS,
    DeadLetter,
    Omitted,
    OutputRecord,
    Role,
    StoredEntry,
    Tail,
)
from processor.engine.errors import ShardRefused
from processor.engine.inputs import Headers, Record, Undecodable
from processor.engine.values import Identity

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


NO_NUMBER = -1


def tail_of(role: Role, record: Record | None, *, low: int) -> Tail:
    """Return what a partition's last data record says; `low` is the partition's low watermark.

    Raises ShardRefused when the record is not the processor's.
    """
    if record is None:
        return Tail(seq=None, emptied=low > 0)
    values = dict(record.headers)  # of several headers with one name the last is ours
    try:
        if role == COMMITS:
            return Tail(seq=_number(values, "processor-seq"), epoch=_number(values, "processor-epoch"))
        return Tail(
            seq=_number(values, "processor-seq"),
            epoch=_number(values, "processor-epoch"),
            index=_number(values, "processor-index"),
            count=_number(values, "processor-count"),
            number=_number(values, "processor-number") if "processor-number" in values else NO_NUMBER,
        )
    except ValueError as failure:
        raise ShardRefused(
            f"{record.topic}[{record.partition}]: the last record (offset {record.offset}) is not the processor's: "
            f"{failure}. Nobody else may write there: stop the other writer, make the topic anew and accept that with: "
            f"processor shards accept-gap SHARD --topic {record.topic}"
        ) from failure


def _number(values: Mapping[str, bytes | None], name: str) -> int:
    value = values.get(name)
    if value is None or not value.isdigit():
        raise ValueError(f"header {name} is {value!r}")
    return int(value)


MESSAGE_BYTES_MAX = 1024


TRUNCATED_BYTES_MAX = 65_536


TRUNCATED_HEADERS_MAX = 1_000


TRUNCATED_SHARE = 5
"""Key, value and headers of a cut dead letter take one part each of what may be published, ours the rest."""


class DeadLetterFacts(msgspec.Struct, frozen=True):
    """The commit that a dead letter belongs to; `count` is how many it has."""

    seq: int
    epoch: int
    shard: int
    count: int


def dead_letter(
    record: Record, why: Undecodable, facts: DeadLetterFacts, *, index: int, bytes_max: int = 0
) -> DeadLetter:
    """Return the dead letter of a record.

    One that is `too_large`, or that could not be published within `bytes_max` (0: no limit), keeps the first 64 KiB or
    less, size and hash.
    """
    if why.code == "too_large":
        return _cut(record, why, facts, index=index, kept=TRUNCATED_BYTES_MAX)
    whole = DeadLetter(record.key, record.value, record.headers + _ours(record, why, facts, index=index))
    if bytes_max and letter_bytes(whole) > bytes_max:
        return _cut(record, why, facts, index=index, kept=min(TRUNCATED_BYTES_MAX, bytes_max // TRUNCATED_SHARE))
    return whole


def letter_bytes(letter: DeadLetter) -> int:
    """Return the size of the record that a dead letter becomes."""
    headers = sum([len(name.encode("utf-8", "replace")) + len(value or b"") for name, value in letter.headers])
    return len(letter.key or b"") + len(letter.value or b"") + headers


def _cut(record: Record, why: Undecodable, facts: DeadLetterFacts, *, index: int, kept: int) -> DeadLetter:
    """Return a dead letter with the first `kept` bytes of key, value and headers each."""
    value = record.value or b""
    told = (("dead-letter-truncated", b"%d" % len(value)), ("dead-letter-sha256", sha256(value).hexdigest().encode()))
    return DeadLetter(
        None if record.key is None else record.key[:kept],
        None if record.value is None else record.value[:kept],
        _first(record.headers, kept) + _ours(record, why, facts, index=index) + told,
    )


def _ours(record: Record, why: Undecodable, facts: DeadLetterFacts, *, index: int) -> Headers:
    told = (
        ("dead-letter-code", why.code),
        ("dead-letter-message", clipped(why.message, MESSAGE_BYTES_MAX)),
        ("dead-letter-exception", clipped(why.exception, MESSAGE_BYTES_MAX)),
        ("dead-letter-topic", record.topic),
        ("dead-letter-partition", str(record.partition)),
        ("dead-letter-offset", str(record.offset)),
        ("dead-letter-timestamp", str(record.timestamp_ms)),
        ("dead-letter-attempts", "1"),
        ("processor-seq", str(facts.seq)),
        ("processor-index", str(index)),
        ("processor-count", str(facts.count)),
        ("processor-shard", str(facts.shard)),
        ("processor-epoch", str(facts.epoch)),
    )
    return tuple((name, text.encode()) for name, text in told)


def clipped(text: str, bytes_max: int) -> str:
    """Return text whose UTF-8 form is at most `bytes_max` bytes, no character broken."""
    data = text.encode("utf-8", "replace")
    return data[:bytes_max].decode("utf-8", "ignore")


def _first(headers: Headers, bytes_max: int) -> Headers:
    kept, size = [], 0
    for name, value in headers[:TRUNCATED_HEADERS_MAX]:
        size += len(name.encode("utf-8", "replace")) + len(value or b"")
        if size > bytes_max:
            break
        kept.append((name, value))
    return tuple(kept)
