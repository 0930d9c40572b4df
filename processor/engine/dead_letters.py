"""A record that could not be decoded or reduced, kept whole: original bytes and headers first, then ours. Pure."""

from hashlib import sha256

import msgspec

from processor.engine.inputs import Headers, Record
from processor.engine.values import DeadLetter, Undecodable

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
