"""A broker in memory: topics, partitions, offsets, retention, and transactions that fence and hide.

Like the real one it spends an offset on the end of each transaction, so the records of a partition have holes.
Safe from any thread.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from threading import Condition
from time import time_ns

import msgspec

from processor.engine.inputs import Headers, Record
from processor.memory.log import Log, PartitionOffsets, Transaction


class UnknownTopicError(Exception):
    """There is no such topic or partition."""


class OffsetOutOfRangeError(Exception):
    """Nothing can be read at this offset."""


class FencedError(Exception):
    """A younger writer has registered under the same transactional id, or this one's transaction was ended."""


class NewRecord(msgspec.Struct, frozen=True):
    """What a writer hands over; the broker gives it its offset and, without a `timestamp_ms`, its time."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None


class _Topic(msgspec.Struct, frozen=True):
    id: str
    partitions: tuple[Log, ...]


class MemoryBroker:
    """Topics by name; `now_ms` gives records their time."""

    def __init__(self, now_ms: Callable[[], int] = lambda: time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._changed = Condition()  # a re-entrant lock: `ready` may ask the broker
        self._topics: dict[str, _Topic] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Transaction] = {}
        self.group_offsets: dict[str, dict[tuple[str, int], int]] = {}

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic with a new id."""
        with self._changed:
            self._topics[name] = _Topic(secrets.token_hex(8), tuple(Log() for _ in range(partitions)))

    def delete_topic(self, name: str) -> None:
        """Forget a topic and its records."""
        with self._changed:
            del self._topics[name]

    def topic_id(self, name: str) -> str:
        """Return the id, another one after a topic was deleted and created again. Raises UnknownTopicError."""
        with self._changed:
            return self._topic(name).id

    def extent(self, topic: str, partition: int) -> PartitionOffsets:
        """Return low watermark, last stable offset and high watermark. Raises UnknownTopicError."""
        with self._changed:
            return self._log(topic, partition).extent

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Return at most `limit` committed records from `offset` on. Raises OffsetOutOfRangeError."""
        with self._changed:
            log = self._log(topic, partition)
            if not log.extent.low <= offset <= log.extent.high:
                raise OffsetOutOfRangeError(f"{topic}[{partition}]: offset {offset}, there is {log.extent}")
            return log.read(offset, limit)

    def last(self, topic: str, partition: int) -> Record | None:
        """Return the last committed record below the last stable offset."""
        with self._changed:
            return self._log(topic, partition).last()

    def trim(self, topic: str, partition: int, low: int) -> None:
        """Remove the records below `low`, as retention does."""
        with self._changed:
            self._log(topic, partition).trim(low)

    def wait_for(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `ready` (asked after every change) or the timeout; return what it said last."""
        with self._changed:
            return self._changed.wait_for(ready, timeout_s)

    def append(self, record: NewRecord) -> int:
        """Append a record outside of any transaction; return its offset."""
        with self._changed:
            offset = self._append(record, None)
            self._changed.notify_all()
            return offset

    def register(self, transactional_id: str) -> int:
        """Fence all older writers with this id, abort what they left open, return the new writer's epoch."""
        with self._changed:
            self._epochs[transactional_id] = self._epochs.get(transactional_id, -1) + 1
            self._end(transactional_id, committed=False)
            return self._epochs[transactional_id]

    def write(self, transactional_id: str, epoch: int, records: Sequence[NewRecord]) -> None:
        """Append records to the writer's transaction, beginning one when there is none. Raises FencedError."""
        with self._changed:
            self._check(transactional_id, epoch)
            transaction = self._open.setdefault(transactional_id, Transaction())
            for record in records:
                self._append(record, transaction)

    def commit(self, transactional_id: str, epoch: int) -> None:
        """Make the transaction's records visible, all at once. Raises FencedError."""
        with self._changed:
            self._check(transactional_id, epoch)
            self._end(transactional_id, committed=True)

    def abort(self, transactional_id: str, epoch: int) -> None:
        """Make the transaction's records invisible for ever. Raises FencedError."""
        with self._changed:
            self._check(transactional_id, epoch)
            self._end(transactional_id, committed=False)

    def commit_group_offsets(self, group_id: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Keep a group's positions."""
        with self._changed:
            self.group_offsets.setdefault(group_id, {}).update(offsets)

    def _topic(self, name: str) -> _Topic:
        if name not in self._topics:
            raise UnknownTopicError(f"topic {name} does not exist")
        return self._topics[name]

    def _log(self, topic: str, partition: int) -> Log:
        partitions = self._topic(topic).partitions
        if partition >= len(partitions):
            raise UnknownTopicError(f"{topic} has no partition {partition}")
        return partitions[partition]

    def _append(self, new: NewRecord, transaction: Transaction | None) -> int:
        log = self._log(new.topic, new.partition)
        timestamp_ms = self._now_ms() if new.timestamp_ms is None else new.timestamp_ms
        offset = log.extent.high
        record = Record(new.topic, new.partition, offset, timestamp_ms, new.key, new.value, new.headers)
        log.append(record, transaction)
        return offset

    def _check(self, transactional_id: str, epoch: int) -> None:
        if self._epochs.get(transactional_id) != epoch:
            raise FencedError(f"{transactional_id}: epoch {epoch} is not the youngest")

    def _end(self, transactional_id: str, *, committed: bool) -> None:
        transaction = self._open.pop(transactional_id, None)
        if transaction is not None:
            transaction.end(committed=committed)
            self._changed.notify_all()
