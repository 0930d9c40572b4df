"""What the engine reads: records, where they stand, and what a partition holds."""

from collections.abc import Mapping

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
