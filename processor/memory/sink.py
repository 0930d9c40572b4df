"""The port `Sink` on the broker in memory."""

from collections.abc import Mapping, Sequence

from processor.engine.announcements import OutputRecord, Role, Tail
from processor.engine.errors import ShardRefused, SinkFenced, SinkUnclear
from processor.engine.outputs import tail_of
from processor.memory.broker import FencedError, MemoryBroker, NewRecord

RECORD_BYTES_MAX = 1_000_000


class MemorySink:
    """Writes `partition` of `topics` (role → name) in transactions of `transactional_id`."""

    def __init__(
        self,
        broker: MemoryBroker,
        topics: Mapping[Role, str],
        partition: int,
        transactional_id: str,
        *,
        stable_timeout_s: float = 0.0,
    ) -> None:
        self._broker = broker
        self._topics = dict(topics)
        self._partition = partition
        self._transactional_id = transactional_id
        self._stable_timeout_s = stable_timeout_s
        self._epoch: int | None = None

    def record_bytes_max(self) -> int:
        """Return the largest record (key, value, headers) that may be published."""
        return RECORD_BYTES_MAX

    def open(self) -> None:
        """Become the newest writer and fence older ones."""
        self._epoch = self._broker.register(self._transactional_id)

    def publish(self, records: Sequence[OutputRecord]) -> None:
        """Publish all in one transaction, in this order. Raises SinkFenced."""
        if self._epoch is None:
            raise SinkUnclear("no producer is open")
        try:
            self._broker.write(self._transactional_id, self._epoch, [self._addressed(record) for record in records])
            self._broker.commit(self._transactional_id, self._epoch)
        except FencedError as failure:
            self._epoch = None
            raise SinkFenced(f"the transaction was fenced: {failure}") from failure

    def tails(self) -> dict[Role, Tail]:
        """Read the last data record of each output partition. Raises ShardRefused (foreign open transaction)."""
        return {role: self._tail(role, topic) for role, topic in self._topics.items()}

    def close(self) -> None:
        """Discard the producer."""
        self._epoch = None

    def _addressed(self, record: OutputRecord) -> NewRecord:
        return NewRecord(self._topics[record.role], self._partition, record.key, record.value, record.headers)

    def _tail(self, role: Role, topic: str) -> Tail:
        high = self._broker.extent(topic, self._partition).high
        if not self._broker.wait_for(
            lambda: self._broker.extent(topic, self._partition).stable >= high, self._stable_timeout_s
        ):
            raise ShardRefused(f"{topic}[{self._partition}]: a foreign open transaction hides the tail")
        low = self._broker.extent(topic, self._partition).low
        return tail_of(role, self._broker.last(topic, self._partition), low=low)
