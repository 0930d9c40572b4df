"""What the engine reads: records, where they stand, the events in them, and the ranges that they take up.

Times are milliseconds since the epoch, offsets are Kafka offsets.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

TopicPartition = tuple[str, int]
Headers = tuple[tuple[str, bytes | None], ...]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record as received; `timestamp_ms` is −1 when it has none."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class RecordId(msgspec.Struct, frozen=True, order=True):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


class Watermarks(msgspec.Struct, frozen=True):
    """The offsets that committed readers find: `low` inclusive, `high` exclusive (the last stable offset)."""

    low: int
    high: int


class TopicFacts(msgspec.Struct, frozen=True):
    """What the broker says: name → topic id of all five, (topic, partition) → watermarks of the shard's inputs."""

    topic_ids: Mapping[str, str]
    inputs: Mapping[TopicPartition, Watermarks]


Positions = Mapping[str, Mapping[int, int]]
"""topic → partition → the next offset to consume."""


LaneName = Literal["high", "normal"]


HIGH: LaneName = "high"


NORMAL: LaneName = "normal"


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Where an event came from."""

    topic: str
    partition: int
    offset: int
    event_id: str
    event_type: str
    traceparent: str | None = None


class Accepted(msgspec.Struct, frozen=True):
    """A decoded event that passed the border checks; `event` is the state machine's own type."""

    cause: Cause
    event: Any


class Invalid(msgspec.Struct, frozen=True):
    """A decoded event that failed the border checks: announced as `EventRejected`, code `invalid_event`."""

    cause: Cause
    message: str


class Undecodable(msgspec.Struct, frozen=True):
    """A record that becomes a dead letter; `code` is one of protocol's dead-letter codes."""

    cause: Cause
    code: str
    message: str
    exception: str = ""


Decoded = Accepted | Invalid | Undecodable


class Range(msgspec.Struct, frozen=True, gc=False):
    """Consecutive records of one partition, `start` inclusive, `end` exclusive, `count` data records."""

    topic: str
    partition: int
    start: int
    end: int
    count: int
