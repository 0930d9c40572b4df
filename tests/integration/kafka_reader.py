"""A plain consumer, read_committed unless it is told otherwise: whole topics afterwards, or along the way."""

import threading
import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from processor.engine.inputs import Record
from tests.checker.artefacts import RecordId
from tests.checker.single_object import Schemas

POLL_S = 0.2
ANSWER_TIMEOUT_S = 30.0
FETCH_RECORDS_MAX = 1000


def dump(bootstrap: str, topic: str, partition: int = 0, *, isolation: str = "read_committed") -> list[Record]:
    """Return all committed records of a partition, to the last stable offset; read_uncommitted: all, to its end."""
    consumer = _consumer(bootstrap, isolation)
    try:
        place = TopicPartition(topic, partition)
        low, end = consumer.get_watermark_offsets(place, timeout=ANSWER_TIMEOUT_S)
        consumer.assign([TopicPartition(topic, partition, low)])
        records: list[Record] = []
        ended = end == low
        while not ended:
            for message in consumer.consume(FETCH_RECORDS_MAX, timeout=POLL_S):
                error = message.error()
                if error is None:
                    records.append(_record(message))
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended = True
                else:
                    raise KafkaException(error)
        return records
    finally:
        consumer.close()


class Follower:
    """Reads the commits and changes of a shard as they come, in a thread of its own.

    `arrivals_ms` are the times at which the commits were read.
    """

    def __init__(self, bootstrap: str, topics: dict[str, str], schemas: Schemas, *, shard: int = 0) -> None:
        self.commits: list[dict[str, Any]] = []
        self.arrivals_ms: list[float] = []
        self.changes: list[Record] = []
        self._topics = topics
        self._schemas = schemas
        self._positions: dict[str, int] = {}
        self._consumer = _consumer(bootstrap)
        self._consumer.assign([TopicPartition(topics[role], shard, 0) for role in ("commits", "changes")])
        self._stopping = threading.Event()
        self._failure: KafkaException | None = None
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._thread.start()

    def consumed(self, topic: str) -> int:
        """Return the position of an input topic that the commit log has reached."""
        if self._failure is not None:
            raise self._failure
        return self._positions.get(topic, 0)

    def has_consumed(self, places: Iterable[RecordId]) -> bool:
        """Tell whether the commit log has passed all of these."""
        return all(self.consumed(topic) > offset for topic, _, offset in places)

    @property
    def epochs(self) -> list[int]:
        """The distinct epochs seen so far, in order."""
        return list(dict.fromkeys(commit["epoch"] for commit in self.commits))

    def close(self) -> None:
        """Stop; safe to call twice."""
        self._stopping.set()
        self._thread.join()

    def _follow(self) -> None:
        try:
            while not self._stopping.is_set():
                # `consume` with a timeout would wait for all of them
                first = self._consumer.poll(POLL_S)
                more = self._consumer.consume(FETCH_RECORDS_MAX, timeout=0) if first is not None else []
                arrived_ms = time.time_ns() / 1_000_000
                for message in [first, *more] if first is not None else []:
                    self._take(message, arrived_ms)
        finally:
            self._consumer.close()

    def _take(self, message: Any, arrived_ms: float) -> None:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                self._failure = KafkaException(error)
        elif message.topic() == self._topics["changes"]:
            self.changes.append(_record(message))
        else:
            _, commit = self._schemas.decode(message.value())
            self._positions.update({part["topic"]: part["to"] for part in commit["ranges"]})
            self.commits.append(commit)
            self.arrivals_ms.append(arrived_ms)


def _consumer(bootstrap: str, isolation: str = "read_committed") -> Any:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10,
        }
    )


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
    )
