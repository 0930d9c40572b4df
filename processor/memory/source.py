"""The port `Source` on the broker in memory."""

from collections.abc import Mapping, Sequence

from processor.engine.errors import ShardRefused, SourceUnavailable
from processor.engine.inputs import HIGH, LaneName, Positions, Record, TopicFacts, Watermarks
from processor.engine.positions import EmptyStretch, Stretches
from processor.memory.broker import MemoryBroker, OffsetOutOfRangeError, UnknownTopicError


class MemorySource:
    """Reads `partitions` of the two `inputs` (lane → name); `outputs` are the other topics whose ids are facts."""

    def __init__(
        self,
        broker: MemoryBroker,
        inputs: Mapping[LaneName, str],
        outputs: Sequence[str],
        partitions: Sequence[int] = (0,),
        group_id: str = "processor",
    ) -> None:
        self._broker = broker
        self._inputs = dict(inputs)
        self._outputs = tuple(outputs)
        self._partitions = tuple(partitions)
        self._group_id = group_id
        self._next: dict[str, dict[int, int]] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self._topic_ids: dict[str, str] = {}

    def facts(self) -> TopicFacts:
        """Return topic ids and watermarks. Raises SourceUnavailable while a topic does not exist."""
        names = (*self._inputs.values(), *self._outputs)
        try:
            self._topic_ids = {name: self._broker.topic_id(name) for name in names}
            return TopicFacts(
                topic_ids=self._topic_ids,
                inputs={
                    (topic, partition): self._extent(topic, partition)
                    for topic in self._inputs.values()
                    for partition in self._partitions
                },
            )
        except UnknownTopicError as failure:
            raise SourceUnavailable(f"{failure}; create it with: processor topics apply") from failure

    def assign(self, positions: Positions) -> None:
        """Start reading at these offsets."""
        self._next = {topic: dict(positions.get(topic, {})) for topic in self._inputs.values()}
        self._ends = {}

    def take(self, lane: LaneName, limit: int) -> list[Record]:
        """Return at most `limit` records, in partition order.

        Raises SourceUnavailable, ShardRefused (offset out of range; a topic made again since `facts`).
        """
        self._verify()
        topic = self._inputs[lane]
        records: list[Record] = []
        for partition, offset in sorted(self._next.get(topic, {}).items()):
            room = limit - len(records)
            end = self._extent(topic, partition).high
            read = self._read(topic, partition, max(offset, self._ends.get((topic, partition), 0)), room)
            if len(read) < room:
                self._ends[topic, partition] = end
            if read:
                self._next[topic][partition] = read[-1].offset + 1
                records += read
        return records

    def wait(self, timeout_ms: int) -> None:
        """Return when a high record is here or the timeout passed, whichever is first."""
        self._broker.wait_for(self._has_high, timeout_ms / 1000)

    def scanned(self) -> Stretches:
        """Return what follows the last record taken and holds no data record."""
        return {
            place: EmptyStretch(self._next[place[0]][place[1]], end)
            for place, end in self._ends.items()
            if end > self._next[place[0]][place[1]]
        }

    def at_end(self) -> bool:
        """Return whether nothing follows what was taken, or the ends were reached."""
        return all(
            (topic, partition) in self._ends or self._extent(topic, partition).high <= offset
            for topic, offsets in self._next.items()
            for partition, offset in offsets.items()
        )

    def commit_group_offsets(self, positions: Positions) -> None:
        """Commit group offsets."""
        offsets = {(topic, partition): offset for topic in positions for partition, offset in positions[topic].items()}
        self._broker.commit_group_offsets(self._group_id, offsets)

    def close(self) -> None:
        """Read nothing more."""
        self._next, self._ends = {}, {}

    def _extent(self, topic: str, partition: int) -> Watermarks:
        extent = self._broker.extent(topic, partition)
        return Watermarks(low=extent.low, high=extent.stable)

    def _verify(self) -> None:
        for name, known in self._topic_ids.items():
            try:
                now = self._broker.topic_id(name)
            except UnknownTopicError as failure:
                raise SourceUnavailable(str(failure)) from failure
            if now != known:
                raise ShardRefused(f"topic {name} was deleted and made again: its id was {known}, now it is {now}")

    def _read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        if limit <= 0:
            return []
        try:
            return self._broker.read(topic, partition, offset, limit)
        except OffsetOutOfRangeError as failure:
            raise ShardRefused(
                f"nothing can be read: {failure}; "
                f"accept it with: processor shards accept-gap SHARD --topic {topic} --to OFFSET"
            ) from failure
        except UnknownTopicError as failure:
            raise SourceUnavailable(str(failure)) from failure

    def _has_high(self) -> bool:
        topic = self._inputs[HIGH]
        try:
            return any(
                self._broker.read(topic, partition, max(offset, self._ends.get((topic, partition), 0)), 1)
                for partition, offset in self._next.get(topic, {}).items()
            )
        except OffsetOutOfRangeError:
            return True  # the next take says so
        except UnknownTopicError:
            return False
