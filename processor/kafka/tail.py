"""The last data record of each output partition, whatever a crash left behind.

Control records and aborted records make holes, so the last data record is not the one before the end: read from a
little before the last stable offset to the end, and from further back while nothing is found. A last stable offset
below the high watermark means that an open transaction hides our own records: wait until they meet.
"""

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from processor.engine.announcements import Role, Tail
from processor.engine.errors import ShardRefused, SinkUnavailable
from processor.engine.inputs import Record, TopicPartition, Watermarks
from processor.engine.outputs import tail_of
from processor.kafka.connection import KafkaConnection, Property, client, words_of
from processor.kafka.records import record_of

RECORDS_FIRST = 4
RECORDS_GROWTH = 16
POLL_TIMEOUT_S = 0.1
STABLE_POLL_INTERVAL_S = 0.01

# The end of a partition is told with the answer of a fetch that found nothing more: it must not wait long for more.
TUNED: dict[str, Property] = {"fetch.wait.max.ms": 1, "fetch.queue.backoff.ms": 1, "fetch.error.backoff.ms": 50}
REQUIRED: dict[str, Property] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
}


class TailReader:
    """Reads the tails of the output partitions `places` (role → topic, partition)."""

    def __init__(self, connection: KafkaConnection, group_id: str, places: Mapping[Role, TopicPartition]) -> None:
        required: dict[str, Property] = {**REQUIRED, "group.id": group_id}
        committed: dict[str, Property] = {**required, "isolation.level": "read_committed", "enable.partition.eof": True}
        self._committed = client(Consumer, connection.properties(TUNED, committed))
        uncommitted: dict[str, Property] = {**required, "isolation.level": "read_uncommitted"}
        self._uncommitted = client(Consumer, connection.properties(TUNED, uncommitted))
        self._places = dict(places)
        self._connection = connection

    def read(self, timeout_s: float) -> dict[Role, Tail]:
        """Return the tails. Raises SinkUnavailable, ShardRefused (foreign open transaction, foreign record)."""
        deadline_s = time.monotonic() + timeout_s
        try:
            extents = {place: self._watermarks(place, deadline_s) for place in self._places.values()}
            last = self._last_records(extents, deadline_s)
        except KafkaException as failure:
            cause = self._connection.cause_of(failure, self._uncommitted)
            raise SinkUnavailable(f"Kafka: the output's tails cannot be read: {cause}") from failure
        finally:
            self._committed.unassign()
        return {role: tail_of(role, last[place], low=extents[place].low) for role, place in self._places.items()}

    def close(self) -> None:
        """Close the clients."""
        self._committed.close()
        self._uncommitted.close()

    def _watermarks(self, place: TopicPartition, deadline_s: float) -> Watermarks:
        """Return low watermark and last stable offset once the latter has reached what is there now."""
        partition = KafkaPartition(*place)
        _, high = self._uncommitted.get_watermark_offsets(partition, timeout=_left_s(deadline_s))
        while True:
            low, stable = self._committed.get_watermark_offsets(partition, timeout=_left_s(deadline_s))
            if stable >= high:
                return Watermarks(low, stable)
            if time.monotonic() > deadline_s:
                raise ShardRefused(
                    f"{place[0]}[{place[1]}]: a foreign open transaction hides the tail: last stable offset {stable}, "
                    f"high watermark {high}. Only the processor may write there: find the other writer "
                    "(kafka-transactions.sh find-hanging), end its transaction and start again"
                )
            time.sleep(STABLE_POLL_INTERVAL_S)

    def _last_records(
        self, extents: Mapping[TopicPartition, Watermarks], deadline_s: float
    ) -> dict[TopicPartition, Record | None]:
        last: dict[TopicPartition, Record | None] = dict.fromkeys(extents)
        missing = {place for place, extent in extents.items() if extent.low < extent.high}
        count = RECORDS_FIRST
        while missing:
            starts = {place: max(extents[place].low, extents[place].high - count) for place in missing}
            last.update(self._read_to_end(starts, deadline_s))
            missing = {place for place in missing if last[place] is None and starts[place] > extents[place].low}
            count *= RECORDS_GROWTH
        return last

    def _read_to_end(self, starts: Mapping[TopicPartition, int], deadline_s: float) -> dict[TopicPartition, Record]:
        """Return the last data record of each partition at or after its start."""
        found: dict[TopicPartition, Message] = {}
        open_places = set(starts)
        self._committed.assign([KafkaPartition(*place, offset) for place, offset in starts.items()])
        while open_places:
            if time.monotonic() > deadline_s:
                raise SinkUnavailable(f"Kafka: the ends of {sorted(open_places)} were not reached in time")
            message = self._committed.poll(POLL_TIMEOUT_S)
            if message is None:
                continue
            place = (message.topic(), message.partition())
            error = message.error()
            if error is None:
                found[place] = message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's own name for it
                open_places.discard(place)
            else:
                cause = self._connection.explained(words_of(error), error)
                raise SinkUnavailable(f"Kafka: {message.topic()}[{message.partition()}]: {cause}")
        return {place: record_of(message) for place, message in found.items()}


def _left_s(deadline_s: float) -> float:
    """Return the remaining time for one call, at least enough for one round trip."""
    return max(0.1, deadline_s - time.monotonic())
