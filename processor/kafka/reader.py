"""Reads any topic for people and tools: from an offset, to the end, the last records, or one record.

Processing does not use it. Readers see committed records.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.engine.inputs import Record, Watermarks
from processor.kafka.connection import KafkaConnection, Property, client, words_of
from processor.kafka.records import record_of
from processor.runtime.closing import Closing

TIMEOUT_S = 15.0
POLL_TIMEOUT_S = 0.2
CHUNK_RECORDS = 500
HOLES_FACTOR = 4
"""How many offsets a data record may take: control and aborted records make holes."""

TUNED: dict[str, Property] = {
    "fetch.wait.max.ms": 10,
    "fetch.queue.backoff.ms": 1,
    "queued.max.messages.kbytes": 16_384,
    "socket.connection.setup.timeout.ms": 5000,
}
REQUIRED: dict[str, Property] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    "group.id": "processor-tools",
}

Isolation = Literal["read_committed", "read_uncommitted"]

REMOVED = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - the library's own name for it
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)

# A consumer has to name a group and asks who coordinates it, but positions are given and none is committed.
GROUP_DENIED: int = KafkaError.GROUP_AUTHORIZATION_FAILED


class RecordReader(Closing):
    """Reads the partitions of one topic, all of them unless named. Every method raises SourceUnavailable."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        partitions: tuple[int, ...] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        isolation: Isolation = "read_committed",
    ) -> None:
        self.topic = topic
        self._connection = connection
        self._timeout_s = timeout_s
        # checksums are not looked at: the embedded broker's records that end a transaction have none
        self._consumer = client(Consumer, connection.properties(TUNED, {**REQUIRED, "isolation.level": isolation}))
        self.partitions = partitions if partitions is not None else self._all_partitions()

    def watermarks(self) -> dict[int, Watermarks]:
        """Return the current watermarks of each partition."""
        return {partition: self._watermarks(partition) for partition in self.partitions}

    def until_end(self, starts: Mapping[int, int]) -> Iterator[Record]:
        """Yield the records from these offsets, as far as they are retained, to the current ends of the partitions."""
        waiting = set(starts)
        for item in self._items(starts, lambda: not waiting):
            if isinstance(item, Record):
                yield item
            else:
                waiting.discard(item)

    def follow(self, starts: Mapping[int, int], stopping: Callable[[], bool]) -> Iterator[Record]:
        """Yield the records from these offsets, and new ones as they come, until `stopping`."""
        for item in self._items(starts, stopping, for_ever=True):
            if isinstance(item, Record):
                yield item

    def last(self, count: int) -> list[Record]:
        """Return the last `count` records of each partition, in order of time."""
        found = [record for partition in self.partitions for record in self._last_of(partition, count)]
        return sorted(found, key=lambda record: record.timestamp_ms)

    def at(self, partition: int, offset: int) -> Record | None:
        """Return the first record at or after an offset, None at the end."""
        return next(self.until_end({partition: offset}), None)

    def search(self, partition: int, rank: Callable[[Record], int], wanted: int) -> Record | None:
        """Return the first record of a partition with a rank of at least `wanted`; ranks never decrease."""
        extent = self._watermarks(partition)
        low, high, found = extent.low, extent.high, None
        while low < high:
            middle = (low + high) // 2
            record = self.at(partition, middle)
            if record is None or rank(record) >= wanted:
                high = middle
                found = record or found
            else:
                low = record.offset + 1
        return found

    def close(self) -> None:
        """Close the client; safe to call twice."""
        self._consumer.close()

    def _last_of(self, partition: int, count: int) -> list[Record]:
        extent = self._watermarks(partition)
        span = count * HOLES_FACTOR
        while True:
            start = max(extent.low, extent.high - span)
            records = list(self.until_end({partition: start}))
            if len(records) >= count or start == extent.low:
                return records[-count:] if count else []
            span *= HOLES_FACTOR

    def _items(
        self, starts: Mapping[int, int], done: Callable[[], bool], *, for_ever: bool = False
    ) -> Iterator[Record | int]:
        """Yield records, and a partition's number whenever its end is reached."""
        self._consumer.assign([TopicPartition(self.topic, *place) for place in starts.items()])
        quiet_since_s = time.monotonic()
        while not done():
            messages = self._messages()
            if messages:
                quiet_since_s = time.monotonic()
            elif not for_ever and time.monotonic() - quiet_since_s > self._timeout_s:
                words = f"{self.topic}: no answer from the brokers within {self._timeout_s:.0f} s"
                raise SourceUnavailable(self._connection.explained(words, TimeoutError()))
            for message in messages:
                error = message.error()
                if error is None:
                    yield record_of(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's own name for it
                    yield int(message.partition())
                elif self._goes_on_behind(message):
                    continue
                elif error.code() != GROUP_DENIED and not error.retriable():
                    cause = self._connection.explained(words_of(error), error)
                    raise SourceUnavailable(f"{self.topic}[{message.partition()}]: {cause}")

    def _goes_on_behind(self, message: Message) -> bool:
        """Continue at the oldest retained offset if the wanted one was removed; False for any other error."""
        if message.error().code() not in REMOVED:
            return False
        partition = int(message.partition())
        low = self._watermarks(partition).low
        if not 0 <= message.offset() < low:
            return False
        self._consumer.incremental_unassign([TopicPartition(self.topic, partition)])
        self._consumer.incremental_assign([TopicPartition(self.topic, partition, low)])
        return True

    def _messages(self) -> list[Message]:
        """Return the messages that are here already, else wait for one; consuming with a timeout would wait for all."""
        messages: list[Message] = self._consumer.consume(CHUNK_RECORDS, 0)
        if messages:
            return messages
        message = self._consumer.poll(POLL_TIMEOUT_S)
        return [] if message is None else [message]

    def _watermarks(self, partition: int) -> Watermarks:
        return self._connection.watermarks(self._consumer, self.topic, partition, timeout_s=self._timeout_s)

    def _all_partitions(self) -> tuple[int, ...]:
        try:
            topic = self._consumer.list_topics(self.topic, timeout=self._timeout_s).topics[self.topic]
        except KafkaException as failure:
            cause = self._connection.cause_of(failure, self._consumer)
            raise SourceUnavailable(f"the brokers do not answer: {cause}") from failure
        if topic.error is not None:
            raise InvalidRequest(f"topic {self.topic}: {words_of(topic.error)}; processor topics apply creates it")
        return tuple(sorted(topic.partitions))
