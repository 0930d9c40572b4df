"""Follows the announcements of shards: decoded, each once, in order, with gaps reported.

What a reader has to keep to go on later is `positions` and `numbers`: write both down together with what was made of
the announcements, in one transaction.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, Literal

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from processor.engine.errors import ShardRefused, SourceUnavailable
from processor.engine.inputs import Record, Watermarks
from processor.engine.outputs import PROCESSOR_NUMBER
from processor.kafka.connection import KafkaConnection, Property, client, words_of
from processor.kafka.lane import HOLES
from processor.kafka.reader import REMOVED
from processor.kafka.records import record_of
from processor.runtime.closing import Closing

WATERMARKS_TIMEOUT_S = 10.0
# A transaction's end does not wake a waiting fetch, so a long wait would only delay what is committed meanwhile.
TUNED: dict[str, Property] = {"fetch.wait.max.ms": 10, "fetch.queue.backoff.ms": 1, "isolation.level": "read_committed"}
REQUIRED: dict[str, Property] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "check.crcs": True,
    # the end of a partition comes with its offset, which is behind control and aborted records
    "enable.partition.eof": True,
}

From = Literal["beginning", "end"] | Mapping[int, int]
"""Where to begin: what is still there, what comes from now on, or partition → next offset (others: the beginning)."""

NONE_YET = -1
"""The last number seen of a partition of which nothing was seen: its announcements are counted from 0."""


class AnnouncementsMissing(ShardRefused):
    """Announcements are missing: the next one of `partition` would have been `expected`, `number` came.

    They were removed before they were read, or the topic was tampered with. Begin anew from the state.
    """

    def __init__(self, record: Record, *, expected: int, number: int) -> None:
        super().__init__(
            f"{record.topic}[{record.partition}]: announcement {expected} was due and {number} is at offset "
            f"{record.offset}: {number - expected} are missing"
        )
        self.partition = record.partition
        self.expected = expected
        self.number = number


class Received(msgspec.Struct, frozen=True):
    """One announcement; `missing` counts the announcements between the last one seen and this one (normally 0)."""

    record: Record
    value: Any
    number: int
    missing: int = 0


class AnnouncementReader(Closing):
    """Reads `partitions` of the changes topic; `decode` turns a record into what `Received.value` holds.

    It drops repeats (a number at or below the partition's last), so with `isolation.level=read_uncommitted` in the
    connection's properties, too, each number comes once. `numbers` are the last numbers seen, where that is known
    (`NONE_YET`: from the first on). `positions` and `numbers` are what comes next and what came last, a partition.
    A position that retention passed is no error where the last number is known: the next announcement tells whether
    any is missing.
    It begins at the beginning unless `from_` says otherwise. `gaps`: `raise`, unless otherwise stated, raises
    AnnouncementsMissing at what is missing, `tell` counts it in `Received.missing`.
    Close it, or use it in a `with` statement. For one thread.
    """

    def __init__(  # noqa: PLR0913 - what to read, how, and from where
        self,
        connection: KafkaConnection,
        topic: str,
        partitions: Sequence[int],
        decode: Callable[[Record], Any],
        from_: From = "beginning",
        *,
        numbers: Mapping[int, int] | None = None,
        gaps: Literal["tell", "raise"] = "raise",
        group_id: str = "processor-consume",
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._gaps = gaps
        self._decode = decode
        self.numbers = dict(numbers or {})
        # the embedded broker ends transactions with records that have no checksum
        required = {**REQUIRED, "check.crcs": not connection.embedded, "group.id": group_id}
        self._consumer = client(Consumer, connection.properties(TUNED, required))
        self._polled: dict[int, int] = {}
        self.positions = {partition: self._start(partition, from_) for partition in partitions}
        self._consumer.assign([TopicPartition(topic, *place) for place in self.positions.items()])

    def poll(self, timeout_s: float) -> Received | None:
        """Return the next announcement, None when none came in time.

        Raises SourceUnavailable (poll again), ShardRefused (records were removed before they were read, a foreign
        record), AnnouncementsMissing. What raised is not counted as seen: make a new reader to see it again.
        """
        deadline_s = monotonic() + timeout_s
        while (message := self._consumer.poll(max(0.0, deadline_s - monotonic()))) is not None:
            if message.error() is not None:
                if self._passes(message):
                    continue
                raise self._failure_of(message)
            record = record_of(message)
            self._polled[record.partition] = record.offset + 1
            received = self._received(record)
            self.positions[record.partition] = record.offset + 1
            if received is not None:
                return received
        return None

    def __iter__(self) -> Iterator[Received]:
        """Yield announcements forever."""
        while True:
            received = self.poll(1.0)
            if received is not None:
                yield received

    def close(self) -> None:
        """Close the client; safe to call twice."""
        self._consumer.close()

    def _received(self, record: Record) -> Received | None:
        number = _number(record)
        last = self.numbers.get(record.partition, number - 1)
        if number <= last:
            return None
        missing = number - last - 1
        if missing and self._gaps == "raise":
            raise AnnouncementsMissing(record, expected=last + 1, number=number)
        received = Received(record, self._decode(record), number, missing)
        self.numbers[record.partition] = number
        return received

    def _start(self, partition: int, from_: From) -> int:
        if not isinstance(from_, str) and partition in from_:
            return from_[partition]
        marks = self._watermarks(partition)
        return marks.high if from_ == "end" else marks.low

    def _watermarks(self, partition: int) -> Watermarks:
        return self._connection.watermarks(self._consumer, self._topic, partition, timeout_s=WATERMARKS_TIMEOUT_S)

    def _passes(self, message: Message) -> bool:
        """Take what is no announcement and no failure: the end of a partition, and a start that was removed.

        What was removed may have been no announcement. Where the last number is known, the next one tells.
        """
        partition, code = int(message.partition()), message.error().code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's own name for it
            if self.positions[partition] == self._polled.get(partition, self.positions[partition]):
                self.positions[partition] = message.offset()
            return True
        if code not in REMOVED or partition not in self.numbers:
            return False
        low = self._watermarks(partition).low
        if not 0 <= message.offset() < low:
            return False
        self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, low)])
        return True

    def _failure_of(self, message: Message) -> Exception:
        error = message.error()
        place = f"{message.topic()}[{message.partition()}]"
        if error.code() in HOLES:
            return ShardRefused(
                f"{place}: offset {message.offset()} cannot be read any more: {words_of(error)}; whether announcements "
                "were among what is gone is not known: hand in the last numbers seen with the positions, and they tell"
            )
        return SourceUnavailable(f"{place}: {self._connection.explained(words_of(error), error)}")


def _number(record: Record) -> int:
    value = dict(record.headers).get(PROCESSOR_NUMBER)
    if value is None or not value.isdigit():
        raise ShardRefused(
            f"{record.topic}[{record.partition}]: the record at offset {record.offset} is no announcement: "
            f"header processor-number is {value!r}"
        )
    return int(value)
