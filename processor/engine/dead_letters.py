"""A record that could not be decoded or reduced, kept whole: original bytes and headers first, then ours. Pure."""

from hashlib import sha256

import msgspec

from processor.engine.values import DeadLetter, Headers, Record, Undecodable

MESSAGE_BYTES_MAX = 1024
TRUNCATED_BYTES_MAX = 65_536
TRUNCATED_HEADERS_MAX = 1_000


class DeadLetterFacts(msgspec.Struct, frozen=True):
    """The commit that a dead letter belongs to; `count` is how many it has."""

    seq: int
    epoch: int
    shard: int
    count: int


def dead_letter(record: Record, why: Undecodable, facts: DeadLetterFacts, *, index: int) -> DeadLetter:
    """Return the dead letter of a record. One that is `too_large` keeps the first 64 KiB, size and hash."""
    key, value, headers = record.key, record.value, record.headers
    extra: list[tuple[str, str]] = []
    if why.code == "too_large":
        whole = value or b""
        extra = [("dead-letter-truncated", str(len(whole))), ("dead-letter-sha256", sha256(whole).hexdigest())]
        key = None if key is None else key[:TRUNCATED_BYTES_MAX]
        value = None if value is None else value[:TRUNCATED_BYTES_MAX]
        headers = _first(headers, TRUNCATED_BYTES_MAX)
    ours = [
        ("dead-letter-code", why.code),
        ("dead-letter-message", clipped(why.message, MESSAGE_BYTES_MAX)),
        ("dead-letter-exception", clipped(why.exception, MESSAGE_BYTES_MAX)),
        ("dead-letter-topic", record.topic),
        ("dead-letter-partition", str(record.partition)),
        ("dead-letter-offset", str(record.offset)),
        ("dead-letter-timestamp", str(record.timestamp_ms)),
        ("dead-letter-attempts", "1"),
        *extra,
        ("processor-seq", str(facts.seq)),
        ("processor-index", str(index)),
        ("processor-count", str(facts.count)),
        ("processor-shard", str(facts.shard)),
        ("processor-epoch", str(facts.epoch)),
    ]
    return DeadLetter(key, value, headers + tuple((name, text.encode()) for name, text in ours))


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
