"""From a dead letter back to the record that it was, to be submitted again after a fix. Pure."""

from collections.abc import Callable
from hashlib import sha256

import msgspec

from processor.engine.inputs import Headers, Record
from processor.kafka.produce import NewRecord

PREFIX = "dead-letter-"
OURS = (PREFIX, "processor-")
FIRST_OF_OURS = PREFIX + "code"
RETRY_OF = PREFIX + "retry-of"

Original = Callable[[str, int, int], Record | None]
"""From topic, partition and offset to the record that still stands there."""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter taken apart: where it came from, why it is one, and what is left of the record.

    `truncated` is the size of the whole value where only its beginning is left, `digest` its SHA-256.
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
    """Take a dead letter apart; None for what is none. Our headers follow the record's own, whatever those are."""
    names = [name for name, _ in record.headers]
    if FIRST_OF_OURS not in names:
        return None
    start = len(names) - 1 - names[::-1].index(FIRST_OF_OURS)
    ours = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers[start:]}
    try:
        return Letter(
            topic=ours[PREFIX + "topic"],
            partition=int(ours[PREFIX + "partition"]),
            offset=int(ours[PREFIX + "offset"]),
            timestamp_ms=int(ours[PREFIX + "timestamp"]),
            code=ours[FIRST_OF_OURS],
            key=record.key,
            value=record.value,
            headers=record.headers[:start],
            truncated=int(ours[PREFIX + "truncated"]) if PREFIX + "truncated" in ours else None,
            digest=ours.get(PREFIX + "sha256", ""),
        )
    except (KeyError, ValueError):
        return None


def resubmission(letter: Letter, inputs: frozenset[str], original: Original) -> NewRecord | Lost:
    """Return the record as it came, without what dead letters add, and with the id of this one.

    It keeps its time, which is the event's. One that was cut is taken from where it was, if it is still there.
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
    kept = tuple((name, content) for name, content in headers if not name.startswith(OURS))
    at_ms = letter.timestamp_ms if letter.timestamp_ms > 0 else None
    return NewRecord(letter.topic, letter.partition, key, value, (*kept, (RETRY_OF, letter.id.encode())), at_ms)
