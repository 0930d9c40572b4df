"""Dead letters turned back into the records that they were, to be submitted again after a fix. Pure."""

from collections.abc import Callable
from hashlib import sha256

import msgspec

from processor.engine.inputs import Headers, Record
from processor.engine.outputs import (
    DEAD_LETTER_CODE,
    DEAD_LETTER_OFFSET,
    DEAD_LETTER_PARTITION,
    DEAD_LETTER_RETRY_OF,
    DEAD_LETTER_SHA256,
    DEAD_LETTER_TIMESTAMP,
    DEAD_LETTER_TOPIC,
    DEAD_LETTER_TRUNCATED,
    OUR_PREFIXES,
)
from processor.kafka.produce import NewRecord

Original = Callable[[str, int, int], Record | None]
"""(topic, partition, offset) → the record there, None when it is gone."""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter in parts: where the record came from, why it was put aside, and what is kept of it.

    `truncated` is the size in bytes of the whole value where only its beginning is kept, `digest` its SHA-256 in hex.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    code: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    truncated: int | None = None
    digest: str = ""

    @property
    def id(self) -> str:
        """`<topic>-<partition>-<offset>`."""
        return f"{self.topic}-{self.partition}-{self.offset}"


class Lost(msgspec.Struct, frozen=True):
    """Why a record cannot be submitted again."""

    reason: str


def letter_of(record: Record) -> Letter | None:
    """Return a dead letter's parts, None for any other record; our headers follow the record's own."""
    names = [name for name, _ in record.headers]
    if DEAD_LETTER_CODE not in names:
        return None
    start = len(names) - 1 - names[::-1].index(DEAD_LETTER_CODE)
    ours = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers[start:]}
    try:
        return Letter(
            topic=ours[DEAD_LETTER_TOPIC],
            partition=int(ours[DEAD_LETTER_PARTITION]),
            offset=int(ours[DEAD_LETTER_OFFSET]),
            timestamp_ms=int(ours[DEAD_LETTER_TIMESTAMP]),
            code=ours[DEAD_LETTER_CODE],
            key=record.key,
            value=record.value,
            headers=record.headers[:start],
            truncated=int(ours[DEAD_LETTER_TRUNCATED]) if DEAD_LETTER_TRUNCATED in ours else None,
            digest=ours.get(DEAD_LETTER_SHA256, ""),
        )
    except (KeyError, ValueError):
        return None


def resubmission(letter: Letter, inputs: frozenset[str], original: Original) -> NewRecord | Lost:
    """Return the original record with the id of its dead letter as a header, at its own time, which is the event's.

    A truncated one is read again from its topic, if it is still there.
    """
    if letter.topic not in inputs:
        return Lost(f"{letter.topic} is no input: {', '.join(sorted(inputs))}")
    key, value, headers = letter.key, letter.value, letter.headers
    if letter.truncated is not None:
        whole = original(letter.topic, letter.partition, letter.offset)
        if whole is None:
            return Lost(
                f"only the first {len(value or b'')} of {letter.truncated} bytes were kept, and the record is gone"
            )
        if sha256(whole.value or b"").hexdigest() != letter.digest:
            return Lost(f"another record stands at {letter.id} now: its SHA-256 is not {letter.digest}")
        key, value, headers = whole.key, whole.value, whole.headers
    kept = tuple((name, content) for name, content in headers if not name.startswith(OUR_PREFIXES))
    at_ms = letter.timestamp_ms if letter.timestamp_ms > 0 else None
    return NewRecord(
        letter.topic, letter.partition, key, value, (*kept, (DEAD_LETTER_RETRY_OF, letter.id.encode())), at_ms
    )
