from collections.abc import Iterator

import pytest

from processor.engine.announcements import CHANGES, COMMITS
from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.engine.inputs import Record, Watermarks
from processor.kafka.connection import KafkaConnection
from processor.kafka.embedded import EmbeddedKafka
from processor.kafka.reader import RecordReader
from processor.kafka.recognition import recognised
from processor.memory.broker import NewRecord
from tests.contracts.broker_world import KafkaWorld, records_of


@pytest.fixture
def reader(world: KafkaWorld) -> Iterator[RecordReader]:
    world.append([NewRecord(world.topics.changes, 0, b"k", b"%d" % n) for n in range(10)])
    with RecordReader(world.connection, world.topics.changes, (0,)) as reader:
        yield reader


def _values(records: Iterator[Record] | list[Record]) -> list[int]:
    return [int(record.value or b"-1") for record in records]


def _rank(record: Record) -> int:
    return int(record.value or b"-1") * 2


def test_it_reads_from_a_place_to_the_end_and_ends(reader: RecordReader) -> None:
    assert reader.watermarks() == {0: Watermarks(0, 10)}
    assert _values(reader.until_end({0: 7})) == [7, 8, 9]
    assert _values(reader.until_end({0: 10})) == []


def test_the_last_few_are_the_last_few(reader: RecordReader) -> None:
    assert _values(reader.last(3)) == [7, 8, 9]
    assert _values(reader.last(100)) == list(range(10))
    assert reader.last(0) == []


def test_one_is_found_at_or_after_an_offset(reader: RecordReader) -> None:
    found = reader.at(0, 4)
    assert found is not None
    assert found.offset == 4
    assert reader.at(0, 10) is None


@pytest.mark.parametrize(("wanted", "found"), [(0, 0), (6, 3), (7, 4), (18, 9), (19, None)])
def test_the_first_of_a_rank_is_found_by_halving(reader: RecordReader, wanted: int, found: int | None) -> None:
    record = reader.search(0, _rank, wanted)
    assert (record.offset if record else None) == found


def test_following_goes_on_until_it_is_asked_to_stop(reader: RecordReader, world: KafkaWorld) -> None:
    seen: list[Record] = []
    for record in reader.follow({0: 8}, lambda: len(seen) == 3):
        seen.append(record)
        if len(seen) == 2:
            world.append([NewRecord(world.topics.changes, 0, b"k", b"10")])
    assert _values(seen) == [8, 9, 10]


def test_records_of_transactions_are_found_behind_their_control_records(world: KafkaWorld) -> None:
    sink = world.sink()
    sink.open()
    for seq in range(1, 8):
        sink.publish([*records_of(CHANGES, seq, 2), *records_of(COMMITS, seq, 1)])
    with RecordReader(world.connection, world.topics.commits, (0,)) as reader:
        ranked = reader.search(0, lambda record: int(dict(record.headers)["processor-seq"] or b"0"), 5)
        assert ranked is not None
        assert dict(ranked.headers)["processor-seq"] == b"5"
        assert [dict(record.headers)["processor-seq"] for record in reader.last(2)] == [b"6", b"7"]
    sink.close()


def test_all_partitions_are_read_unless_some_are_named(world: KafkaWorld) -> None:
    with RecordReader(world.connection, world.topics.changes) as reader:
        assert 0 in reader.partitions


def test_a_topic_that_is_not_there_is_told_with_what_to_do(world: KafkaWorld) -> None:
    with pytest.raises(InvalidRequest, match="processor topics apply"):
        RecordReader(world.connection, "no-such-topic")


def test_brokers_that_are_away_are_told() -> None:
    with pytest.raises(SourceUnavailable, match="do not answer"):
        RecordReader(KafkaConnection("127.0.0.1:1"), "changes", timeout_s=0.5)


def test_a_real_broker_is_not_taken_for_an_embedded_one(world: KafkaWorld) -> None:
    assert recognised(world.connection) == world.connection


def test_an_embedded_broker_is_recognised_by_its_address() -> None:
    with EmbeddedKafka() as embedded:
        assert recognised(KafkaConnection(embedded.bootstrap_servers)).embedded


def test_an_address_without_a_broker_is_told() -> None:
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1 does not answer"):
        recognised(KafkaConnection("127.0.0.1:1"), timeout_s=0.5)


def test_what_was_removed_is_passed_by(reader: RecordReader, world: KafkaWorld) -> None:
    world.empty(world.topics.changes)
    world.append([NewRecord(world.topics.changes, 0, b"k", b"10")])
    assert _values(reader.until_end({0: 3})) == [10]
    assert reader.at(0, 0) is not None
