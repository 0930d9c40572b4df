from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from processor.engine.announcements import CHANGES, COMMITS, DEAD_LETTERS, OutputRecord, Tail
from processor.engine.inputs import HIGH, NORMAL, Watermarks
from processor.kafka.connection import ShardTopics
from processor.kafka.embedded import PARTITIONS, EmbeddedKafka
from processor.kafka.idempotent import IdempotentSink
from processor.kafka.sink import KafkaSink
from processor.kafka.source import KafkaSource
from tests.contracts.broker_world import records_of
from tests.waiting import wait_for

TOPICS = ShardTopics("high", "normal", "changes", "commits", "dead-letters", PARTITIONS, 0)
FLUSH_TIMEOUT_S = 30


@pytest.fixture
def embedded() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as embedded:
        embedded.use_topics(TOPICS.names)
        yield embedded


@pytest.fixture
def source(embedded: EmbeddedKafka) -> Iterator[KafkaSource]:
    source = KafkaSource(embedded.connection(), TOPICS, "group")
    yield source
    source.close()


@pytest.mark.parametrize("kind", [KafkaSink, IdempotentSink])
def test_what_a_sink_published_is_what_its_tails_say(
    embedded: EmbeddedKafka, kind: type[KafkaSink] | type[IdempotentSink]
) -> None:
    sink = kind(embedded.connection(), TOPICS, "cluster-0")
    sink.open()
    assert sink.tails() == {role: Tail(seq=None) for role in (CHANGES, COMMITS, DEAD_LETTERS)}

    sink.publish([*records_of(CHANGES, 3, 5), *records_of(COMMITS, 3, 1)])

    tails = sink.tails()
    assert tails[CHANGES] == Tail(seq=3, epoch=7, index=4, count=5, number=3004)
    assert tails[COMMITS].seq == 3
    assert tails[DEAD_LETTERS] == Tail(seq=None)
    sink.close()


def test_the_source_reads_all_partitions_of_both_lanes(embedded: EmbeddedKafka, source: KafkaSource) -> None:
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers})
    for partition in PARTITIONS:
        producer.produce("high", f"high {partition}", partition=partition)
        producer.produce("normal", f"normal {partition}", partition=partition)
    assert producer.flush(FLUSH_TIMEOUT_S) == 0
    facts = source.facts()
    source.assign({topic: dict.fromkeys(PARTITIONS, 0) for topic in ("high", "normal")})

    for lane in (HIGH, NORMAL):
        seen: list[tuple[int, bytes | None]] = []

        def take(lane: object = lane, seen: list[tuple[int, bytes | None]] = seen) -> int:
            source.wait(1)
            seen.extend((record.partition, record.value) for record in source.take(HIGH if lane == HIGH else NORMAL, 8))
            return len(seen)

        wait_for(take, lambda length: length >= len(PARTITIONS))
        assert sorted(seen) == [(partition, f"{lane} {partition}".encode()) for partition in PARTITIONS]
    assert set(facts.topic_ids) == set(TOPICS.names)
    assert facts.inputs[NORMAL, 3] == Watermarks(low=0, high=1)


def test_a_record_of_the_largest_size_passes(embedded: EmbeddedKafka) -> None:
    sink = KafkaSink(embedded.connection(), TOPICS, "cluster-0")
    sink.open()
    sink.publish(
        [OutputRecord(CHANGES, b"k", b"v" * (sink.record_bytes_max() - 1), records_of(CHANGES, 1, 1)[0].headers)]
    )

    assert sink.tails()[CHANGES].seq == 1
    sink.close()


def test_two_embedded_brokers_know_nothing_of_each_other(embedded: EmbeddedKafka) -> None:
    with EmbeddedKafka() as other:
        assert other.bootstrap_servers != embedded.bootstrap_servers
