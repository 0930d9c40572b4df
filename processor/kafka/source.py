"""The inputs of one shard: a consumer for each lane, assigned, never subscribed, never paused.

*Two consumers.* A single one would queue high records behind every normal record that it has prefetched.

*Positions.* The store owns them: `assign` sets them, and the consumer group only shows them to lag tools. A failed
commit of group offsets is therefore logged and forgotten.

*Offsets without records.* Control records and aborted records occupy offsets. A consumer reports the end of a partition
with its offset, so the stretch between the last record taken and that end holds no record (`scanned`). The engine
stores it in the head, and retention may then remove these offsets without making a gap.

*Topics.* A topic that is deleted and made again has the same name and other records. Its id tells: `facts` reads the
ids, and `take` raises once one has changed.
"""

import threading
from collections.abc import Sequence
from time import monotonic

from processor.engine.inputs import HIGH, LaneName, Positions, Record, TopicFacts, Watermarks
from processor.engine.positions import Stretches
from processor.kafka.connection import KafkaConnection, Property, ShardTopics
from processor.kafka.describer import TopicDescriber
from processor.kafka.lane import InputLane, partitions_of
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
        self._opened: dict[LaneName, InputLane] = {}
        self._told: Positions = {}
        self._closing = threading.Lock()

    @property
    def trouble(self) -> str:
        """Why nothing can be read, empty once a broker gave records or answered again; for readiness.

        A broker that keeps silent is noticed within the interval of asking for topic ids.
        """
        return self._trouble.text

    def facts(self) -> TopicFacts:
        """Return topic ids and watermarks. Raises SourceUnavailable, also while a topic does not exist."""
        facts = TopicFacts(topic_ids=self._topic_ids.read(self._topics.names), inputs=self._watermarks())
        self._trouble.text = ""
        return facts

    def assign(self, positions: Positions) -> None:
        """Read from these offsets; drop everything prefetched."""
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
        """Return the stretches without records after the last record taken."""
        return {
            (self._topics.inputs[lane], partition): stretch
            for lane, opened in self._opened.items()
            for partition, stretch in opened.stretches().items()
        }

    def at_end(self) -> bool:
        """Return whether nothing follows what was taken, as the last fetches told, or the ends were reached."""
        return all(opened.at_end(self._topics.inputs[lane]) for lane, opened in self._opened.items())

    def commit_group_offsets(self, positions: Positions) -> None:
        """Commit group offsets without waiting; a failure is only logged."""
        for lane, topic in self._topics.inputs.items():
            self._lane(lane).commit(partitions_of(topic, positions.get(topic, {})))
        self._told = positions

    def lag(self) -> dict[tuple[str, int], int]:
        """Return (topic, partition) → records beyond the last committed group offsets, as far as it is known.

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
        """Close the client; safe to call twice."""
        with self._closing:
            opened, self._opened, self._told = self._opened, {}, {}
        _close_all(tuple(opened.values()))
        self._topic_ids.close()
        if not self._shares_describer:
            self._describer.close()
        self._trouble.text = ""

    def _lane(self, lane: LaneName) -> InputLane:
        if lane not in self._opened:
            self._opened[lane] = InputLane(self._properties, self._facts_timeout_s, self._trouble)
        self._opened[lane].renew()
        return self._opened[lane]

    def _watermarks(self) -> dict[tuple[str, int], Watermarks]:
        return {
            (topic, partition): self._lane(lane).watermarks(topic, partition)
            for lane, topic in self._topics.inputs.items()
            for partition in self._topics.input_partitions
        }


def _close_all(lanes: Sequence[InputLane]) -> None:
    """Close consumers, and abandon those that do not close in time.

    With a commit of group offsets that gets no answer, or a refusal, a consumer waits for its session's timeout (45 s).
    """
    closings = [threading.Thread(target=lane.close, name="closing", daemon=True) for lane in lanes]
    for closing in closings:
        closing.start()
    deadline_s = monotonic() + CLOSE_TIMEOUT_S
    for closing in closings:
        closing.join(max(0.0, deadline_s - monotonic()))
