"""One input lane: a consumer, and at most one message that `wait` has already taken from it.

Invariants: records are handed out in partition order, and none is lost by an error behind it. The error is kept and
raised by the next `take`, once the records before it are taken. A refusal stays until the next assignment.
"""

from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processor.engine.errors import ProcessorError, ShardRefused, SourceUnavailable
from processor.engine.inputs import Record, Watermarks
from processor.engine.positions import EmptyStretch, gone
from processor.kafka.connection import LOGGER, Property, client, words_of
from processor.kafka.records import record_of
from processor.kafka.trouble import Trouble

# After these the records at the position can never be read, and what follows them must not be.
HOLES = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - the library's own name for it
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._BAD_MSG,  # noqa: SLF001 - as above
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001 - as above
    }
)


class InputLane:
    """Reads the partitions of one lane. For one thread, except where a method says otherwise."""

    def __init__(self, properties: dict[str, Property], facts_timeout_s: float, trouble: Trouble) -> None:
        self._trouble = trouble
        self._facts_timeout_s = facts_timeout_s
        self._consumer = client(Consumer, {**properties, "error_cb": trouble.note})
        self._denied = 0
        self._waited: Message | None = None
        self._failure: ProcessorError | None = None
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}

    def renew(self) -> None:
        """Hand the current credentials to the consumer if the old ones were denied."""
        if self._denied != self._trouble.denied:
            self._denied = self._trouble.denied
            self._trouble.connection.renew(self._consumer)

    def assign(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Read from these offsets; drop everything prefetched."""
        self._waited = None
        self._failure = None
        self._next, self._ends = dict(offsets), {}
        self._consumer.assign(partitions_of(topic, offsets))

    def take(self, limit: int) -> list[Record]:
        """Return at most `limit` records that are here already. Raises SourceUnavailable, ShardRefused."""
        self._raise_failure()
        messages = self._consumer.consume(limit if self._waited is None else limit - 1, timeout=0)
        if self._waited is not None:
            messages.insert(0, self._waited)
            self._waited = None
        records = self._records(messages)
        if not records:
            self._raise_failure()
        return records

    def wait(self, timeout_ms: int) -> None:
        """Wait for the next message and keep it for `take`."""
        if self._waited is None and self._failure is None:
            self._waited = self._consumer.poll(timeout_ms / 1000)

    def stretches(self) -> dict[int, EmptyStretch]:
        """Return partition → from the record after the last one taken to the end that was reached. From any thread."""
        ends = dict(self._ends)  # before `_next`, which is written first: a record that was taken is never passed by
        after = dict(self._next)
        return {
            partition: EmptyStretch(after[partition], end)
            for partition, end in ends.items()
            if end > after.get(partition, end)
        }

    def at_end(self, topic: str) -> bool:
        """Return whether no record follows the last one taken, in any partition."""
        return all(
            self._ends.get(partition, -1) >= after or (self.known_end(topic, partition) or 0) <= after
            for partition, after in self._next.items()
        )

    def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Ask for low watermark and last stable offset. Raises SourceUnavailable."""
        return self._trouble.connection.watermarks(
            self._consumer, topic, partition, timeout_s=self._facts_timeout_s, needs=f"READ on topic {topic}"
        )

    def known_end(self, topic: str, partition: int) -> int | None:
        """Return the end of a partition as of the last fetch, None before the first. Safe from any thread."""
        marks = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        return marks[1] if marks is not None and marks[1] >= 0 else None

    def commit(self, positions: list[TopicPartition]) -> None:
        """Commit group offsets without waiting; a failure is only logged."""
        if not positions:
            return
        try:
            self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as failure:
            LOGGER.warning("group offsets were not committed: %s", self._trouble.connection.cause_of(failure))

    def close(self) -> None:
        """Close the consumer; may wait for the timeout of its session."""
        self._waited = None
        self._consumer.close()

    def _raise_failure(self) -> None:
        """Raise what stood behind the records handed out last; a refusal stays until the next assignment."""
        failure = self._failure
        if failure is None:
            return
        if not isinstance(failure, ShardRefused):
            self._failure = None
        raise failure

    def _records(self, messages: Sequence[Message]) -> list[Record]:
        """Return the records; a failure among them is kept for the next take, so that no record is lost by it."""
        records = []
        ends = {}
        for message in messages:
            error = message.error()
            if error is None:
                records.append(record_of(message))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's own name for it
                ends[message.partition()] = message.offset()
            elif self._failure is None or not isinstance(self._failure, ShardRefused):
                self._failure = self._failure_of(message)
        if records:
            self._trouble.text = ""
            self._next.update({record.partition: record.offset + 1 for record in records})
        self._ends.update(ends)
        return records

    def _failure_of(self, message: Message) -> ProcessorError:
        error = message.error()
        place = f"{message.topic()}[{message.partition()}]"
        if error.code() not in HOLES:
            needs = f"READ on topic {message.topic()}"
            return SourceUnavailable(f"{place}: {self._trouble.explained(error, needs)}")
        extent, target = self._extent(message.topic(), message.partition(), message.offset())
        return ShardRefused(
            f"{place}: nothing can be read at offset {message.offset()}: {words_of(error)}; {extent}. "
            "Restore the records, or accept the hole with: processor shards accept-gap "
            f"{message.partition()} --topic {message.topic()} --to {target}"
        )

    def _extent(self, topic: str, partition: int, offset: int) -> tuple[str, str]:
        """Return what the broker has, and the offset at which reading may go on."""
        try:
            marks = self.watermarks(topic, partition)
            low, high = marks.low, marks.high
        except SourceUnavailable as failure:
            return str(failure), "OFFSET"
        extent = f"the broker has offsets {low} to {high} (exclusive)"
        return (f"{extent}: {gone(offset, low)}", str(low)) if 0 <= offset < low else (extent, "OFFSET")


def partitions_of(topic: str, offsets: Mapping[int, int]) -> list[TopicPartition]:
    """Return the partitions of a topic with their offsets, in order."""
    return [TopicPartition(topic, partition, offset) for partition, offset in sorted(offsets.items())]
