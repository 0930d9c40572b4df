"""The records that an outbox entry becomes, their headers, and the way back from a record's headers. Pure.

The names of all headers stand here, for whoever writes or reads one. The headers of a record follow from the place of
what it announces in its entry, so that a record published again, by any owner, is the same. `tail_of` reads that place
back from the last record of a partition: publishing resumes behind it. A dead letter's headers are made with the
commit and stored in the outbox, behind those of the original record.
"""

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

CONTENT_TYPE = "content-type"
TRACEPARENT = "traceparent"
CE_SPECVERSION = "ce_specversion"
CE_SOURCE = "ce_source"
CE_TYPE = "ce_type"
CE_ID = "ce_id"
CE_TIME = "ce_time"
CE_SUBJECT = "ce_subject"
PROCESSOR_SEQ = "processor-seq"
PROCESSOR_EPOCH = "processor-epoch"
PROCESSOR_INDEX = "processor-index"
PROCESSOR_COUNT = "processor-count"
PROCESSOR_NUMBER = "processor-number"
PROCESSOR_SHARD = "processor-shard"
PROCESSOR_REVISION = "processor-revision"
PROCESSOR_BEFORE = "processor-before"
PROCESSOR_AFTER = "processor-after"
PROCESSOR_TRANSITIONS = "processor-transitions"
DEAD_LETTER_CODE = "dead-letter-code"
DEAD_LETTER_MESSAGE = "dead-letter-message"
DEAD_LETTER_EXCEPTION = "dead-letter-exception"
DEAD_LETTER_TOPIC = "dead-letter-topic"
DEAD_LETTER_PARTITION = "dead-letter-partition"
DEAD_LETTER_OFFSET = "dead-letter-offset"
DEAD_LETTER_TIMESTAMP = "dead-letter-timestamp"
DEAD_LETTER_ATTEMPTS = "dead-letter-attempts"
DEAD_LETTER_TRUNCATED = "dead-letter-truncated"
DEAD_LETTER_SHA256 = "dead-letter-sha256"
DEAD_LETTER_RETRY_OF = "dead-letter-retry-of"
"""On a record that was submitted again: the id of the dead letter."""

DEAD_LETTER_PREFIX = "dead-letter-"
OUR_PREFIXES = (DEAD_LETTER_PREFIX, "processor-")
"""How the names of headers begin that only the processor writes; `DEAD_LETTER_CODE` is the first on a dead letter."""

OMITTED_HEADERS: dict[Omitted, str] = {
    "before": PROCESSOR_BEFORE,
    "after": PROCESSOR_AFTER,
    "transitions": PROCESSOR_TRANSITIONS,
}
"""Part of a change → the header that says `omitted` where it is left out because the record would be too large."""
COMMIT_TYPE = "processor.commits.Commit"
NO_NUMBER = -1
MESSAGE_BYTES_MAX = 1024
TRUNCATED_BYTES_MAX = 65_536
TRUNCATED_HEADERS_MAX = 1_000
TRUNCATED_SHARE = 5
"""Key, value and headers of a truncated dead letter get one part each of what may be published, ours the rest."""


def change_records(stored: StoredEntry, identity: Identity, *, start: int = 0) -> list[OutputRecord]:
    """Return the entry's announcements from index `start` on."""
    entry = stored.entry
    shared = _shared(stored, identity)
    count = (PROCESSOR_COUNT, _digits(len(entry.announcements)))
    entry_id = f"{identity.shard}-{entry.seq}-".encode()
    records = []
    for index, item in enumerate(entry.announcements[start:], start=start):
        key, place = item.key.encode(), _digits(index)
        headers: Headers = (
            *shared,
            (CE_TYPE, item.type.encode()),
            (CE_SUBJECT, key),
            (CE_ID, entry_id + place),
            (PROCESSOR_INDEX, place),
            count,
            (PROCESSOR_NUMBER, _digits(entry.first_number + index)),
        )
        if item.omitted:
            headers += tuple((OMITTED_HEADERS[part], b"omitted") for part in item.omitted)
        if item.traceparent is not None:
            headers = (*headers, (TRACEPARENT, item.traceparent.encode()))
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
        (CE_TYPE, COMMIT_TYPE.encode()),
        (CE_SUBJECT, seq),
        (CE_ID, _digits(identity.shard) + b"-" + seq),
    )
    return OutputRecord(COMMITS, seq, stored.entry.commit_record, headers)


def rfc3339(time_ms: int) -> str:
    """Return a time in ms as RFC 3339 with milliseconds, UTC."""
    seconds, millis = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def header_number(record: Record, name: str) -> int:
    """Return the number in one of the processor's headers, −1 where there is none. Raises ValueError."""
    return int(dict(record.headers).get(name) or NO_NUMBER)


def _shared(stored: StoredEntry, identity: Identity) -> Headers:
    """Return the headers that all records of the entry share; encoded once."""
    entry = stored.entry
    return (
        (CONTENT_TYPE, b"application/avro"),
        (CE_SPECVERSION, b"1.0"),
        (CE_SOURCE, f"/processor/{identity.app}/{identity.shard}".encode()),
        (CE_TIME, rfc3339(entry.committed_ms).encode()),
        (PROCESSOR_SEQ, _digits(entry.seq)),
        (PROCESSOR_EPOCH, _digits(entry.epoch)),
        (PROCESSOR_SHARD, _digits(identity.shard)),
        (PROCESSOR_REVISION, _digits(stored.revision)),
    )


def _digits(number: int) -> bytes:
    return b"%d" % number


def tail_of(role: Role, record: Record | None, *, low: int) -> Tail:
    """Return what a partition's last data record says; `low` is the partition's low watermark.

    Raises ShardRefused when the record is not the processor's.
    """
    if record is None:
        return Tail(seq=None, emptied=low > 0)
    values = dict(record.headers)  # of several headers with one name the last is ours
    try:
        if role == COMMITS:
            return Tail(seq=_number(values, PROCESSOR_SEQ), epoch=_number(values, PROCESSOR_EPOCH))
        return Tail(
            seq=_number(values, PROCESSOR_SEQ),
            epoch=_number(values, PROCESSOR_EPOCH),
            index=_number(values, PROCESSOR_INDEX),
            count=_number(values, PROCESSOR_COUNT),
            number=_number(values, PROCESSOR_NUMBER) if PROCESSOR_NUMBER in values else NO_NUMBER,
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
        return _truncated(record, why, facts, index=index, kept=TRUNCATED_BYTES_MAX)
    whole = DeadLetter(record.key, record.value, record.headers + _dead_letter_headers(record, why, facts, index=index))
    if bytes_max and letter_bytes(whole) > bytes_max:
        return _truncated(record, why, facts, index=index, kept=min(TRUNCATED_BYTES_MAX, bytes_max // TRUNCATED_SHARE))
    return whole


def letter_bytes(letter: DeadLetter) -> int:
    """Return the size of the record that a dead letter becomes."""
    headers = sum([len(name.encode("utf-8", "replace")) + len(value or b"") for name, value in letter.headers])
    return len(letter.key or b"") + len(letter.value or b"") + headers


def _truncated(record: Record, why: Undecodable, facts: DeadLetterFacts, *, index: int, kept: int) -> DeadLetter:
    """Return a dead letter with the first `kept` bytes of key, value and headers each."""
    value = record.value or b""
    facts_of_value = (
        (DEAD_LETTER_TRUNCATED, b"%d" % len(value)),
        (DEAD_LETTER_SHA256, sha256(value).hexdigest().encode()),
    )
    return DeadLetter(
        None if record.key is None else record.key[:kept],
        None if record.value is None else record.value[:kept],
        _first_headers(record.headers, kept) + _dead_letter_headers(record, why, facts, index=index) + facts_of_value,
    )


def _dead_letter_headers(record: Record, why: Undecodable, facts: DeadLetterFacts, *, index: int) -> Headers:
    texts = (
        (DEAD_LETTER_CODE, why.code),
        (DEAD_LETTER_MESSAGE, clipped(why.message, MESSAGE_BYTES_MAX)),
        (DEAD_LETTER_EXCEPTION, clipped(why.exception, MESSAGE_BYTES_MAX)),
        (DEAD_LETTER_TOPIC, record.topic),
        (DEAD_LETTER_PARTITION, str(record.partition)),
        (DEAD_LETTER_OFFSET, str(record.offset)),
        (DEAD_LETTER_TIMESTAMP, str(record.timestamp_ms)),
        (DEAD_LETTER_ATTEMPTS, "1"),
        (PROCESSOR_SEQ, str(facts.seq)),
        (PROCESSOR_INDEX, str(index)),
        (PROCESSOR_COUNT, str(facts.count)),
        (PROCESSOR_SHARD, str(facts.shard)),
        (PROCESSOR_EPOCH, str(facts.epoch)),
    )
    return tuple((name, text.encode()) for name, text in texts)


def clipped(text: str, bytes_max: int) -> str:
    """Return text whose UTF-8 form is at most `bytes_max` bytes, no character broken."""
    data = text.encode("utf-8", "replace")
    return data[:bytes_max].decode("utf-8", "ignore")


def _first_headers(headers: Headers, bytes_max: int) -> Headers:
    kept, size = [], 0
    for name, value in headers[:TRUNCATED_HEADERS_MAX]:
        size += len(name.encode("utf-8", "replace")) + len(value or b"")
        if size > bytes_max:
            break
        kept.append((name, value))
    return tuple(kept)
