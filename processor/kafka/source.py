"""The two input lanes of one shard: a consumer each, assigned, never subscribed, never paused.

One consumer for both would let high records wait behind every normal record prefetched.
"""

import threading
from collections.abc import Mapping, Sequence
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processor.engine.errors import ProcessorError, ShardRefused, SourceUnavailable
from processor.engine.inputs import HIGH, LaneName, Positions, Record, TopicFacts, Watermarks
from processor.engine.positions import EmptyStretch, Stretches, gone
from processor.kafka.connection import LOGGER, KafkaConnection, Property, ShardTopics, client, words_of
from processor.kafka.describer import TopicDescriber
from processor.kafka.records import record_of
from processor.kafka.topic_ids import TopicIds
from processor.kafka.trouble import Trouble

FACTS_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
IDS_INTERVAL_S = 5.0
# A few batches: enough to reduce from while the next fetch is under way, little enough to drop at a rewind.
PREFETCH_RECORDS = 4_000
PREFETCH_KIBIBYTES = 16_384

TUNED: dict[str, Property] = {
    # The broker answers as soon as one record is there; the long wait costs nothing while there is none.
    "fetch.wait.max.ms": 500,
    # At its default of a second a lane starves once its queue was full.
    "fetch.queue.backoff.ms": 1,
    "queued.min.messages": PREFETCH_RECORDS,
    "queued.max.messages.kbytes": PREFETCH_KIBIBYTES,
}
REQUIRED: dict[str, Property] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "check.crcs": True,
    # the end of a partition comes with its offset, which is behind control and aborted records
    "enable.partition.eof": True,
}
# After these the records at the position can never be read, and what follows them must not be.
HOLES = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - the library's own name for it
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._BAD_MSG,  # noqa: SLF001 - as above
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001 - as above
    }
)


class KafkaSource:
    """The port `Source` on Kafka. `group_id` only labels positions for lag tools. A `describer` is shared with others.

    Its clients are made when first needed, and anew after `close`: a shard that is not owned costs none.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: ShardTopics,
        group_id: str,
        *,
        facts_timeout_s: float = FACTS_TIMEOUT_S,
        ids_interval_s: float = IDS_INTERVAL_S,
        describer: TopicDescriber | None = None,
    ) -> None:
        self._topics = topics
        self._describer = describer or TopicDescriber(connection)
        self._shares_describer = describer is not None
        self._topic_ids = TopicIds(self._describer, timeout_s=facts_timeout_s, interval_s=ids_interval_s)
        self._properties = connection.properties(TUNED, {**REQUIRED, "group.id": group_id})
        self._facts_timeout_s = facts_timeout_s
        self._trouble = Trouble(connection, self._topic_ids.doubt)
        self._opened: dict[LaneName, _Lane] = {}
        self._told: Positions = {}
        self._closing = threading.Lock()

    @property
    def trouble(self) -> str:
        """Why nobody can be read from, empty once somebody gave records or answers again; for readiness.

        A broker that keeps silent is noticed within the interval of asking for topic ids.
        """
        return self._trouble.text

    def facts(self) -> TopicFacts:
        """Return topic ids and watermarks. Raises SourceUnavailable, also while a topic does not exist."""
        facts = TopicFacts(topic_ids=self._topic_ids.read(self._topics.names), inputs=self._watermarks())
        self._trouble.text = ""
        return facts

    def assign(self, positions: Positions) -> None:
        """Start reading at these offsets; whatever was prefetched before is dropped."""
        for lane, topic in self._topics.inputs.items():
            self._lane(lane).assign(topic, positions.get(topic, {}))
        self._told = positions

    def take(self, lane: LaneName, limit: int) -> list[Record]:
        """Return at most `limit` (≥ 1) records that are here already, in partition order, without blocking.

        Raises SourceUnavailable, ShardRefused (offset out of range; a topic made again since `facts`).
        """
        silence = self._topic_ids.verify()
        if silence is not None:
            self._trouble.text = silence
        return self._lane(lane).take(limit)

    def wait(self, timeout_ms: int) -> None:
        """Return when a high record is here or the timeout passed, whichever is first."""
        self._lane(HIGH).wait(timeout_ms)

    def scanned(self) -> Stretches:
        """Return what follows the last record taken and holds no data record."""
        return {
            (self._topics.inputs[lane], partition): stretch
            for lane, opened in self._opened.items()
            for partition, stretch in opened.stretches().items()
        }

    def at_end(self) -> bool:
        """Tell whether nothing follows what was taken, as the last fetches told, or the ends were reached."""
        return all(opened.at_end(self._topics.inputs[lane]) for lane, opened in self._opened.items())

    def commit_group_offsets(self, positions: Positions) -> None:
        """Tell the broker the positions without waiting; a failure is logged and forgotten."""
        for lane, topic in self._topics.inputs.items():
            self._lane(lane).commit(_partitions(topic, positions.get(topic, {})))
        self._told = positions

    def lag(self) -> dict[tuple[str, int], int]:
        """Return (topic, partition) → records that wait beyond the positions told last, as far as it is known.

        Nobody is asked: a consumer knows the end from its last fetch. Safe from any thread.
        """
        waiting = {}
        with self._closing:
            for lane, consumer in list(self._opened.items()):
                topic, empty = self._topics.inputs[lane], consumer.stretches()
                for partition, position in list(self._told.get(topic, {}).items()):
                    end = consumer.known_end(topic, partition)
                    stretch = empty.get(partition)
                    reached = stretch.end if stretch is not None and stretch.start <= position else position
                    if end is not None:
                        waiting[topic, partition] = max(0, end - max(reached, position))
        return waiting

    def close(self) -> None:
        """Leave; safe to call twice."""
        with self._closing:
            opened, self._opened, self._told = self._opened, {}, {}
        _close_all(tuple(opened.values()))
        self._topic_ids.close()
        if not self._shares_describer:
            self._describer.close()
        self._trouble.text = ""

    def _lane(self, lane: LaneName) -> "_Lane":
        if lane not in self._opened:
            self._opened[lane] = _Lane(self._properties, self._facts_timeout_s, self._trouble)
        self._opened[lane].renew()
        return self._opened[lane]

    def _watermarks(self) -> dict[tuple[str, int], Watermarks]:
        facts = {}
        for lane, topic in self._topics.inputs.items():
            for partition in self._topics.input_partitions:
                low, high = self._lane(lane).watermarks(topic, partition)
                facts[topic, partition] = Watermarks(low=low, high=high)
        return facts


class _Lane:
    """One consumer, and at most one message that `wait` has taken from it already."""

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
        if self._denied != self._trouble.denied:
            self._denied = self._trouble.denied
            self._trouble.connection.renew(self._consumer)

    def assign(self, topic: str, offsets: Mapping[int, int]) -> None:
        self._waited = None
        self._failure = None
        self._next, self._ends = dict(offsets), {}
        self._consumer.assign(_partitions(topic, offsets))

    def take(self, limit: int) -> list[Record]:
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
        return all(
            self._ends.get(partition, -1) >= after or (self.known_end(topic, partition) or 0) <= after
            for partition, after in self._next.items()
        )

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        try:
            place = TopicPartition(topic, partition)
            low, high = self._consumer.get_watermark_offsets(place, timeout=self._facts_timeout_s)
        except KafkaException as failure:
            cause = self._trouble.connection.cause_of(failure, self._consumer, needs=f"READ on topic {topic}")
            raise SourceUnavailable(f"{topic}[{partition}]: no watermarks: {cause}") from failure
        return low, high

    def known_end(self, topic: str, partition: int) -> int | None:
        marks = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        return marks[1] if marks is not None and marks[1] >= 0 else None

    def commit(self, positions: list[TopicPartition]) -> None:
        if not positions:
            return
        try:
            self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as failure:
            LOGGER.warning("group offsets were not committed: %s", self._trouble.connection.cause_of(failure))

    def close(self) -> None:
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
            low, high = self.watermarks(topic, partition)
        except SourceUnavailable as failure:
            return str(failure), "OFFSET"
        extent = f"the broker has offsets {low} to {high} (exclusive)"
        return (f"{extent}: {gone(offset, low)}", str(low)) if 0 <= offset < low else (extent, "OFFSET")


def _close_all(lanes: Sequence[_Lane]) -> None:
    """Close consumers, and leave to themselves those that do not end.

    With a commit of group offsets that gets no answer, or a refusal, a consumer waits for its session's timeout (45 s).
    """
    closings = [threading.Thread(target=lane.close, name="closing", daemon=True) for lane in lanes]
    for closing in closings:
        closing.start()
    deadline_s = monotonic() + CLOSE_TIMEOUT_S
    for closing in closings:
        closing.join(max(0.0, deadline_s - monotonic()))


def _partitions(topic: str, offsets: Mapping[int, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, offset) for partition, offset in sorted(offsets.items())]
