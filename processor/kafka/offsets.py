"""Where the offsets of a topic's partitions stand: what is there, what a time means, what a group has committed."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from processor.engine.errors import SourceUnavailable
from processor.kafka.connection import KafkaConnection, Property, client
from processor.kafka.reader import REQUIRED, TIMEOUT_S

Place = tuple[str, int]
"""Topic and partition."""


class Marks(msgspec.Struct, frozen=True):
    """What a partition holds, from `low` to `high` (exclusive), and what the group has committed, None: nothing."""

    low: int
    high: int
    committed: int | None


class OffsetReader:
    """Asks as a member of the group `group_id` would. Everything raises SourceUnavailable."""

    def __init__(self, connection: KafkaConnection, group_id: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = connection
        required: dict[str, Property] = {**REQUIRED, "group.id": group_id}
        self._consumer = client(Consumer, connection.properties({}, required))
        self._timeout_s = timeout_s

    def marks(self, places: Sequence[Place]) -> dict[Place, Marks]:
        """Return the marks of partitions."""
        try:
            committed = self._consumer.committed([TopicPartition(*place) for place in places], self._timeout_s)
            found = {(item.topic, item.partition): item.offset for item in committed}
            return {place: self._marks(place, found[place]) for place in places}
        except KafkaException as failure:
            cause = self._connection.cause_of(failure, self._consumer)
            raise SourceUnavailable(f"Kafka: the offsets cannot be read: {cause}") from failure

    def at(self, places: Sequence[Place], at_ms: int) -> dict[Place, int | None]:
        """Return the offset of the first record that is not older than a time, None where there is none."""
        asked = [TopicPartition(topic, partition, at_ms) for topic, partition in places]
        try:
            answers = self._consumer.offsets_for_times(asked, self._timeout_s)
        except KafkaException as failure:
            cause = self._connection.cause_of(failure, self._consumer)
            raise SourceUnavailable(f"Kafka: no offsets for a time: {cause}") from failure
        return {(item.topic, item.partition): item.offset if item.offset >= 0 else None for item in answers}

    def close(self) -> None:
        """Leave; safe to call twice."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _marks(self, place: Place, committed: int) -> Marks:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=self._timeout_s)
        return Marks(low, high, committed if committed >= 0 else None)
