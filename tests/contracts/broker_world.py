"""The world around a Source or Sink, in memory and on a real broker, behind one interface for the contract suites."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

import msgspec
import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from processor.engine.announcements import OUTPUT_ROLES, OutputRecord, Role
from processor.engine.inputs import HIGH, NORMAL, Headers, LaneName, Record
from processor.engine.ports import Sink, Source
from processor.kafka.connection import KafkaConnection, Property, ShardTopics, cause_of
from processor.kafka.output import SinkTimeouts
from processor.kafka.records import record_of
from processor.kafka.sink import KafkaSink
from processor.kafka.source import KafkaSource
from processor.memory.broker import FencedError, MemoryBroker, NewRecord
from processor.memory.sink import MemorySink
from processor.memory.source import MemorySource
from tests.waiting import wait_equal, wait_until

WAIT_S = 30.0
FOREIGN_WAIT_S = 1.0
PARTITIONS = 2
GROUP = "lag-tools"

T = TypeVar("T")


class OpenTransaction(Protocol):
    """A transaction of somebody else, begun and not ended; FencedError when it cannot be committed any more."""

    def commit(self) -> None: ...
    def abort(self) -> None: ...


class World(Protocol):
    """A broker with the five topics of a shard whose partition is 0; others read and write there too."""

    topics: ShardTopics

    def source(self, partitions: Sequence[int] = (0,)) -> Source: ...
    def sink(self) -> Sink: ...
    def append(self, records: Iterable[NewRecord]) -> None: ...
    def begin(self, writer: str, records: Iterable[NewRecord]) -> OpenTransaction: ...
    def committed(self, topic: str) -> list[Record]: ...
    def empty(self, topic: str) -> None: ...
    def recreate(self, topic: str) -> None: ...
    def delete(self, topic: str) -> None: ...
    def group_offset(self, topic: str, partition: int) -> int | None: ...
    def close(self) -> None: ...


def records_of(role: Role, seq: int, count: int, *, indexes: Iterable[int] | None = None) -> list[OutputRecord]:
    """Return the records of commit `seq` for one output, as the publisher would make them."""
    return [
        OutputRecord(role, f"key-{index}".encode(), f"{seq}.{index}".encode(), _headers(seq, index, count))
        for index in (range(count) if indexes is None else indexes)
    ]


def addressed(records: Iterable[OutputRecord], topics: ShardTopics) -> list[NewRecord]:
    """Return output records as anybody else would write them."""
    return [NewRecord(topics.outputs[item.role], 0, item.key, item.value, item.headers) for item in records]


def inputs(topic: str, values: Iterable[int], partition: int = 0) -> list[NewRecord]:
    """Return input records with these numbers as values."""
    return [NewRecord(topic, partition, b"cluster", str(value).encode()) for value in values]


def taken(source: Source, lane: LaneName, count: int) -> list[Record]:
    """Take until there are `count` records, or for a long while."""
    records: list[Record] = []

    def take() -> int:
        source.wait(1)
        records.extend(source.take(lane, count - len(records)))
        return len(records)

    wait_equal(take, count)
    return records


def values(records: list[Record]) -> list[int]:
    """Return the numbers that `inputs` wrote."""
    return [int(record.value or b"-1") for record in records]


def _headers(seq: int, index: int, count: int) -> Headers:
    numbers = {"seq": seq, "index": index, "count": count, "number": 1000 * seq + index, "epoch": 7}
    return tuple((f"processor-{name}", str(number).encode()) for name, number in numbers.items())


def _topics(namespace: str) -> ShardTopics:
    high, normal, changes, commits, dead_letters = (f"{namespace}-{role}" for role in (HIGH, NORMAL, *OUTPUT_ROLES))
    return ShardTopics(high, normal, changes, commits, dead_letters, input_partitions=(0,), output_partition=0)


class MemoryTransaction(msgspec.Struct, frozen=True):
    broker: MemoryBroker
    writer: str
    epoch: int

    def commit(self) -> None:
        self.broker.commit(self.writer, self.epoch)

    def abort(self) -> None:
        self.broker.abort(self.writer, self.epoch)


class MemoryWorld:
    """The world in memory."""

    def __init__(self, namespace: str) -> None:
        self.topics = _topics(namespace)
        self.broker = MemoryBroker()
        for name in self.topics.names:
            self.broker.create_topic(name, PARTITIONS)

    def source(self, partitions: Sequence[int] = (0,)) -> Source:
        outputs = tuple(self.topics.outputs.values())
        return MemorySource(self.broker, self.topics.inputs, outputs, partitions, GROUP)

    def sink(self) -> Sink:
        return MemorySink(self.broker, self.topics.outputs, 0, "shard", stable_timeout_s=FOREIGN_WAIT_S)

    def append(self, records: Iterable[NewRecord]) -> None:
        for record in records:
            self.broker.append(record)

    def begin(self, writer: str, records: Iterable[NewRecord]) -> OpenTransaction:
        epoch = self.broker.register(writer)
        self.broker.write(writer, epoch, list(records))
        return MemoryTransaction(self.broker, writer, epoch)

    def committed(self, topic: str) -> list[Record]:
        return self.broker.read(topic, 0, self.broker.extent(topic, 0).low, 1_000_000)

    def empty(self, topic: str) -> None:
        self.broker.trim(topic, 0, self.broker.extent(topic, 0).high)

    def recreate(self, topic: str) -> None:
        self.delete(topic)
        self.broker.create_topic(topic, PARTITIONS)

    def delete(self, topic: str) -> None:
        self.broker.delete_topic(topic)

    def group_offset(self, topic: str, partition: int) -> int | None:
        return self.broker.group_offsets.get(GROUP, {}).get((topic, partition))

    def close(self) -> None:
        pass


class KafkaTransaction:
    def __init__(self, connection: KafkaConnection, writer: str, records: Iterable[NewRecord]) -> None:
        self._producer = Producer(connection.properties({}, {"transactional.id": writer, "linger.ms": 0}))
        self._producer.init_transactions(WAIT_S)
        self._producer.begin_transaction()
        for item in records:
            _produce(self._producer, item)
        self._producer.flush(WAIT_S)

    def commit(self) -> None:
        try:
            self._producer.commit_transaction(WAIT_S)
        except KafkaException as failure:
            raise FencedError(cause_of(failure)) from failure

    def abort(self) -> None:
        self._producer.abort_transaction(WAIT_S)


class KafkaWorld:
    """The world on a real broker, under topic names of its own."""

    def __init__(self, bootstrap: str, namespace: str) -> None:
        self.topics = _topics(namespace)
        self.connection = KafkaConnection(bootstrap)
        self.writer = f"{namespace}-shard"
        self._admin = AdminClient(self.connection.properties({}, {}))
        self._producer = Producer(self.connection.properties({}, {"linger.ms": 0, "enable.idempotence": True}))
        self._create(self.topics.names)

    def source(self, partitions: Sequence[int] = (0,)) -> Source:
        topics = msgspec.structs.replace(self.topics, input_partitions=tuple(partitions))
        return KafkaSource(self.connection, topics, self._group, ids_interval_s=0.1)

    def sink(self) -> Sink:
        return KafkaSink(self.connection, self.topics, self.writer, SinkTimeouts(tails_s=FOREIGN_WAIT_S + 4))

    def append(self, records: Iterable[NewRecord]) -> None:
        for item in records:
            _produce(self._producer, item)
        assert self._producer.flush(WAIT_S) == 0

    def begin(self, writer: str, records: Iterable[NewRecord]) -> OpenTransaction:
        return KafkaTransaction(self.connection, self.writer if writer == "shard" else writer, records)

    def committed(self, topic: str) -> list[Record]:
        required: dict[str, Property] = {
            "group.id": "world",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
        consumer = Consumer(self.connection.properties({"fetch.wait.max.ms": 10}, required))
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=WAIT_S)
        consumer.assign([TopicPartition(topic, 0, 0)])
        messages = []
        while (message := consumer.poll(WAIT_S)) is not None and message.error() is None:
            messages.append(message)
        assert message is not None
        assert message.offset() >= end
        consumer.close()
        return [record_of(item) for item in messages]

    def empty(self, topic: str) -> None:
        place = TopicPartition(topic, 0)
        end = self._admin.list_offsets({place: OffsetSpec.latest()})[place].result(WAIT_S).offset
        self._admin.delete_records([TopicPartition(topic, 0, end)])[place].result(WAIT_S)

    def recreate(self, topic: str) -> None:
        self.delete(topic)
        self._create([topic])

    def delete(self, topic: str) -> None:
        self._admin.delete_topics([topic])[topic].result(WAIT_S)
        wait_until(lambda: topic not in self._admin.list_topics(timeout=WAIT_S).topics)

    def group_offset(self, topic: str, partition: int) -> int | None:
        group = self._group
        answer = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(WAIT_S)
        places = {(place.topic, place.partition): place.offset for place in answer.topic_partitions}
        return places.get((topic, partition))

    def close(self) -> None:
        for future in self._admin.delete_topics(list(self.topics.names)).values():
            future.exception(WAIT_S)

    @property
    def _group(self) -> str:
        return f"{self.writer}-{GROUP}"

    def _create(self, names: Sequence[str]) -> None:
        for future in self._admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
            future.result(WAIT_S)
        wait_until(lambda: self._have_leaders(names))

    def _have_leaders(self, names: Sequence[str]) -> bool:
        """Tell whether every partition answers; a new one does a little later than it is said to exist."""
        places = {
            TopicPartition(name, partition): OffsetSpec.earliest() for name in names for partition in range(PARTITIONS)
        }
        return all(future.exception(WAIT_S) is None for future in self._admin.list_offsets(places).values())


@contextmanager
def open_world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    """Give the world that the parameter of a fixture names."""
    if request.param == "memory":
        yield MemoryWorld(namespace)
        return
    world = KafkaWorld(request.getfixturevalue("kafka").bootstrap, namespace)
    yield world
    world.close()


def _produce(producer: Producer, item: NewRecord) -> None:
    producer.produce(
        item.topic,
        partition=item.partition,
        key=item.key,
        value=item.value,
        headers=list(item.headers),
        timestamp=item.timestamp_ms or 0,
    )
