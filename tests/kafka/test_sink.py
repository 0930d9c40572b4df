from collections.abc import Callable

import pytest

from processor.engine.announcements import CHANGES, COMMITS, OutputRecord
from processor.engine.errors import SinkUnavailable, SinkUnclear
from processor.kafka.admin import CreateTopic, SetConfig, TopicsAdmin, TopicSpec
from processor.kafka.connection import KafkaConnection, ShardTopics
from processor.kafka.idempotent import IdempotentSink
from processor.kafka.output import SinkTimeouts
from processor.kafka.sink import KafkaSink
from tests.contracts.broker_world import KafkaWorld, records_of
from tests.local_servers import LocalServer
from tests.services import Kafka
from tests.waiting import wait_until

SHORT = SinkTimeouts(open_s=2, request_s=1, transaction_s=5, tails_s=5)
PATIENT = SinkTimeouts(request_s=60.0, transaction_s=90.0)
SINKS = [KafkaSink, IdempotentSink]
AnySink = type[KafkaSink] | type[IdempotentSink]


def texts(world: KafkaWorld) -> list[bytes | None]:
    return [record.value for record in world.committed(world.topics.changes)]


def is_open(sink: KafkaSink | IdempotentSink) -> bool:
    try:
        sink.open()
    except SinkUnavailable:
        return False
    return True


def is_published(sink: KafkaSink | IdempotentSink, records: list[OutputRecord]) -> bool:
    try:
        sink.open()
        sink.publish(records)
    except (SinkUnavailable, SinkUnclear):
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("kind", SINKS)
def test_a_broker_that_goes_away_leaves_the_publication_unclear_until_it_is_back_and_the_sink_opened_again(
    own_kafka: Callable[..., LocalServer], namespace: str, kind: AnySink
) -> None:
    server = own_kafka()
    world = KafkaWorld(server.address, namespace)
    sink = kind(world.connection, world.topics, world.writer, SHORT)
    wait_until(lambda: is_published(sink, records_of(CHANGES, 1, 2)))

    for go_away, come_back in ((server.pause, server.resume), (server.kill, server.start)):
        go_away()
        with pytest.raises(SinkUnclear):
            sink.publish(records_of(CHANGES, 2, 2))
        with pytest.raises(SinkUnavailable):
            sink.open()
        come_back()
        wait_until(lambda: is_published(sink, records_of(CHANGES, 3, 2)))

    found = texts(world)
    assert found[:2] == [b"1.0", b"1.1"]
    assert found[-2:] == [b"3.0", b"3.1"]
    assert sink.tails()[CHANGES].seq == 3
    sink.close()


def test_a_full_queue_only_slows_a_publication_down(world: KafkaWorld) -> None:
    connection = KafkaConnection(world.connection.bootstrap_servers, {"queue.buffering.max.messages": 10})
    sink = KafkaSink(connection, world.topics, world.writer, PATIENT)
    sink.open()

    sink.publish(records_of(CHANGES, 1, 300))

    assert len(texts(world)) == 300
    sink.close()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            KafkaSink,
            [
                "before_begin_transaction",
                "half_produced",
                "after_produce",
                "before_commit_transaction",
                "after_commit_transaction",
            ],
        ),
        (IdempotentSink, ["half_produced", "after_produce"]),
    ],
)
def test_a_publication_passes_its_failpoints_once_whatever_its_size(
    world: KafkaWorld, kind: AnySink, expected: list[str]
) -> None:
    passed: list[str] = []
    sink = kind(world.connection, world.topics, world.writer, SinkTimeouts(), passed.append)
    wait_until(lambda: is_open(sink))
    sink.publish(records_of(CHANGES, 1, 5))
    assert passed == expected
    assert texts(world) == [f"1.{index}".encode() for index in range(5)]
    sink.close()


@pytest.mark.parametrize("kind", SINKS)
def test_the_smallest_topic_limit_decides_how_large_a_record_and_a_batch_may_be(
    world: KafkaWorld, kind: AnySink
) -> None:
    limit = SetConfig(world.topics.commits, "max.message.bytes", "", "65536")
    assert TopicsAdmin(world.connection).apply([limit])[0].failure == ""
    sink = kind(world.connection, world.topics, world.writer)
    wait_until(lambda: is_open(sink) and sink.record_bytes_max() == 65536 - 4096)

    record = OutputRecord(COMMITS, b"1", bytes(range(250)) * 200, records_of(COMMITS, 1, 1)[0].headers)
    sink.publish([record] * 20)

    assert len(world.committed(world.topics.commits)) == 20
    sink.close()


@pytest.mark.parametrize("kind", SINKS)
def test_the_producers_own_limit_counts_too(world: KafkaWorld, kind: AnySink) -> None:
    connection = KafkaConnection(world.connection.bootstrap_servers, {"message.max.bytes": 100_000})

    assert kind(connection, world.topics, world.writer).record_bytes_max() == 100_000 - 4096


@pytest.mark.parametrize("kind", SINKS)
def test_a_record_that_the_broker_refuses_leaves_the_publication_unclear(world: KafkaWorld, kind: AnySink) -> None:
    sink = kind(world.connection, world.topics, world.writer)
    sink.open()
    too_large = OutputRecord(CHANGES, b"key", b"\x00" * 9_000_000, ())

    with pytest.raises(SinkUnclear, match="MSG_SIZE_TOO_LARGE"):
        sink.publish([*records_of(CHANGES, 1, 1), too_large])

    sink.open()
    sink.publish(records_of(CHANGES, 2, 1))
    assert texts(world)[-1] == b"2.0"
    sink.close()


@pytest.mark.parametrize("kind", SINKS)
def test_a_missing_topic_makes_the_sink_unavailable(kafka: Kafka, namespace: str, kind: AnySink) -> None:
    connection = KafkaConnection(kafka.bootstrap)
    names = [f"{namespace}-{role}" for role in ("changes", "commits", "dead")]
    TopicsAdmin(connection).apply([CreateTopic(TopicSpec(name, 1, 1)) for name in names[:2]])
    topics = ShardTopics("high", "normal", names[0], names[1], names[2], (0,), 0)

    with pytest.raises(SinkUnavailable, match="limits cannot be read"):
        kind(connection, topics, "writer").open()


def test_an_idempotent_sink_publishes_in_order_and_knows_its_tails(world: KafkaWorld) -> None:
    sink = IdempotentSink(world.connection, world.topics, world.writer)
    sink.open()
    for seq in range(1, 6):
        sink.publish([*records_of(CHANGES, seq, 100), *records_of(COMMITS, seq, 1)])

    assert texts(world) == [f"{seq}.{index}".encode() for seq in range(1, 6) for index in range(100)]
    assert sink.tails()[CHANGES].index == 99
    assert sink.tails()[COMMITS].seq == 5
    sink.close()
    sink.close()
