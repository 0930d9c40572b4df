"""Offsets of partitions: watermarks, offsets of a time, offsets committed by a group."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from processor.engine.errors import SourceUnavailable
from processor.engine.inputs import TopicPartition
from processor.kafka.connection import KafkaConnection, Property, client
from processor.kafka.reader import REQUIRED, TIMEOUT_S, RecordReader
from processor.runtime.closing import Closing

STILL_OPEN_AFTER_S = 0.5
"""A transaction that is open for less delays nobody."""


class OpenTransaction(msgspec.Struct, frozen=True):
    """The oldest open transaction of a partition: its first offset, and that record's time, −1: none.

    `hidden`: how many offsets from there to the high watermark nobody can read (read_committed).
    """

    first_offset: int
    since_ms: int
    hidden: int

    def sentence(self, place: TopicPartition, bootstrap: str) -> str:
        """Return a description, and the commands that show its producer id and abort it."""
        topic, partition = place
        tool = f"kafka-transactions.sh --bootstrap-server {bootstrap}"
        where = f"--topic {topic} --partition {partition}"
        return (
            f"{topic}[{partition}]: an open transaction, begun {self._since()}, hides {self.hidden} offsets from "
            f"{self.first_offset} on (last stable offset {self.first_offset}, high watermark "
            f"{self.first_offset + self.hidden}). Its producer id: {tool} describe-producers {where}. If its writer "
            f"does not end it: {tool} abort {where} --start-offset {self.first_offset}"
        )

    def _since(self) -> str:
        return "at an unknown time" if self.since_ms < 0 else f"at {utc(self.since_ms)} as its first record says"


class PartitionOffsets(msgspec.Struct, frozen=True):
    """The offsets of a partition, from `low` to `stable` (exclusive), and what an open transaction hides after them."""

    low: int
    stable: int
    opened: OpenTransaction | None = None

    @property
    def high(self) -> int:
        """The high watermark."""
        return self.stable + (self.opened.hidden if self.opened else 0)


def open_transactions(offsets: Mapping[TopicPartition, PartitionOffsets], bootstrap: str) -> list[str]:
    """Return a sentence about each open transaction."""
    return [found.opened.sentence(place, bootstrap) for place, found in offsets.items() if found.opened is not None]


class OffsetReader(Closing):
    """Reads offsets as a member of the group `group_id`. Every method raises SourceUnavailable."""

    def __init__(self, connection: KafkaConnection, group_id: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = connection
        required: dict[str, Property] = {**REQUIRED, "group.id": group_id}
        self._consumer = client(Consumer, connection.properties({}, required))
        uncommitted: dict[str, Property] = {**required, "isolation.level": "read_uncommitted"}
        self._uncommitted = client(Consumer, connection.properties({}, uncommitted))
        self._timeout_s = timeout_s

    def watermarks(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, PartitionOffsets]:
        """Return the offsets of partitions. A transaction counts as open if it still is after `STILL_OPEN_AFTER_S`."""
        marks = {place: self._marks(place) for place in places}
        hiding = {place for place, (_, stable, high) in marks.items() if high > stable}
        if hiding:
            time.sleep(STILL_OPEN_AFTER_S)
        return {
            place: self._watermarks(place, before=stable) if place in hiding else PartitionOffsets(low, stable)
            for place, (low, stable, _) in marks.items()
        }

    def committed(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Return the committed offsets of the group, None where there is none."""
        try:
            committed = self._consumer.committed([KafkaPartition(*place) for place in places], self._timeout_s)
            return {(item.topic, item.partition): item.offset if item.offset >= 0 else None for item in committed}
        except KafkaException as failure:
            cause = self._connection.cause_of(failure, self._consumer)
            raise SourceUnavailable(f"Kafka: the offsets cannot be read: {cause}") from failure

    def at(self, places: Sequence[TopicPartition], at_ms: int) -> dict[TopicPartition, int | None]:
        """Return the offset of the first record at or after a time, None where there is none."""
        asked = [KafkaPartition(topic, partition, at_ms) for topic, partition in places]
        try:
            answers = self._consumer.offsets_for_times(asked, self._timeout_s)
        except KafkaException as failure:
            cause = self._connection.cause_of(failure, self._consumer)
            raise SourceUnavailable(f"Kafka: no offsets for a time: {cause}") from failure
        return {(item.topic, item.partition): item.offset if item.offset >= 0 else None for item in answers}

    def close(self) -> None:
        """Close the client; safe to call twice."""
        self._consumer.close()
        self._uncommitted.close()

    def _watermarks(self, place: TopicPartition, *, before: int) -> PartitionOffsets:
        """Look again at a partition whose last stable offset was `before` a moment ago."""
        low, stable, high = self._marks(place)
        still_open = stable == before and high > stable
        return PartitionOffsets(low, stable, self._opened(place, stable, high) if still_open else None)

    def _marks(self, place: TopicPartition) -> tuple[int, int, int]:
        """Return low watermark, last stable offset and high watermark; the last is asked for first, so it lags."""
        partition = KafkaPartition(*place)
        try:
            _, high = self._uncommitted.get_watermark_offsets(partition, timeout=self._timeout_s)
            low, stable = self._consumer.get_watermark_offsets(partition, timeout=self._timeout_s)
        except KafkaException as failure:
            cause = self._connection.cause_of(failure, self._consumer)
            raise SourceUnavailable(f"Kafka: the offsets cannot be read: {cause}") from failure
        return int(low), int(stable), int(high)

    def _opened(self, place: TopicPartition, stable: int, high: int) -> OpenTransaction:
        """Return the transaction that begins at the last stable offset."""
        topic, partition = place
        with RecordReader(
            self._connection, topic, (partition,), timeout_s=self._timeout_s, isolation="read_uncommitted"
        ) as reader:
            first = reader.at(partition, stable)
        return OpenTransaction(stable, -1 if first is None else first.timestamp_ms, high - stable)


def utc(at_ms: int) -> str:
    """Return a time in ms as people read it, to the second."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
