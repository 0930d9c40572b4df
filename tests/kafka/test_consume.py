from collections.abc import Iterator
from itertools import islice

import pytest

from processor.avro.catalogue import Catalogue
from processor.client.codec import announcement_reader
from processor.configuration.settings import PROJECT_DIRECTORY
from processor.engine.errors import ShardRefused
from processor.engine.inputs import Record
from processor.kafka.connection import KafkaConnection
from processor.kafka.consume import NONE_YET, AnnouncementReader, AnnouncementsMissing, Received
from processor.memory.broker import NewRecord
from tests.contracts.broker_world import KafkaWorld
from tests.services import Kafka
from tests.waiting import wait_equal, wait_until


@pytest.fixture
def world(kafka: Kafka, namespace: str) -> Iterator[KafkaWorld]:
    world = KafkaWorld(kafka.bootstrap, namespace)
    yield world
    world.close()


def announcements(world: KafkaWorld, numbers: list[int], partition: int = 0) -> list[NewRecord]:
    return [
        NewRecord(world.topics.changes, partition, b"key", f"value {n}".encode(), (("processor-number", b"%d" % n),))
        for n in numbers
    ]


def value(record: Record) -> str:
    return (record.value or b"").decode()


def received(reader: AnnouncementReader, count: int) -> list[Received]:
    found: list[Received] = []

    def poll() -> int:
        item = reader.poll(0.1)
        if item is not None:
            found.append(item)
        return len(found)

    wait_equal(poll, count)
    return found


def numbers(items: list[Received]) -> list[tuple[int, int]]:
    return [(item.number, item.missing) for item in items]


def test_announcements_come_decoded_from_the_beginning(world: KafkaWorld) -> None:
    world.append(announcements(world, [0, 1, 2]))
    reader = AnnouncementReader(world.connection, world.topics.changes, [0], value)

    items = received(reader, 3)

    assert numbers(items) == [(0, 0), (1, 0), (2, 0)]
    assert [item.value for item in items] == ["value 0", "value 1", "value 2"]
    assert reader.positions == {0: 3}
    assert reader.poll(0.1) is None
    reader.close()
    reader.close()


def test_a_decoding_reader_leaves_nothing_out_unasked_either(world: KafkaWorld) -> None:
    world.append(announcements(world, [0, 1, 4]))
    with announcement_reader(
        world.connection, world.topics.changes, Catalogue.load(PROJECT_DIRECTORY / "schemas")
    ) as reader:
        assert numbers(received(reader, 2)) == [(0, 0), (1, 0)]
        with pytest.raises(AnnouncementsMissing, match="announcement 2 was due"):
            received(reader, 1)


def test_repeats_are_dropped_and_gaps_are_named(world: KafkaWorld) -> None:
    world.append(announcements(world, [4, 5, 5, 4, 6, 9, 8, 10]))
    reader = AnnouncementReader(world.connection, world.topics.changes, [0], value, gaps="tell")

    assert numbers(received(reader, 5)) == [(4, 0), (5, 0), (6, 0), (9, 2), (10, 0)]
    assert reader.numbers == {0: 10}
    reader.close()


def test_reading_from_the_end_sees_what_comes_from_now_on(world: KafkaWorld) -> None:
    world.append(announcements(world, [0, 1]))
    reader = AnnouncementReader(world.connection, world.topics.changes, [0], value, "end")
    world.append(announcements(world, [2]))

    assert numbers(received(reader, 1)) == [(2, 0)]
    reader.close()


def test_reading_goes_on_from_positions_and_numbers_kept(world: KafkaWorld) -> None:
    world.append(announcements(world, [0, 1, 2, 4]))
    reader = AnnouncementReader(world.connection, world.topics.changes, [0], value, {0: 2}, numbers={0: 2}, gaps="tell")

    assert numbers(received(reader, 1)) == [(4, 1)]
    reader.close()


def test_a_partition_without_a_kept_position_is_read_from_the_beginning(world: KafkaWorld) -> None:
    world.append([*announcements(world, [0, 1, 2]), *announcements(world, [0, 1], partition=1)])
    reader = AnnouncementReader(world.connection, world.topics.changes, [0, 1], value, {0: 2}, numbers={0: 1})

    assert sorted(numbers(received(reader, 3))) == [(0, 0), (1, 0), (2, 0)]
    assert reader.positions == {0: 3, 1: 2}
    reader.close()


def test_who_has_seen_nothing_yet_is_told_what_is_missing_before_the_first(world: KafkaWorld) -> None:
    world.append(announcements(world, [5, 6]))
    changes, unseen = world.topics.changes, {0: NONE_YET}
    with AnnouncementReader(world.connection, changes, [0], value, numbers=unseen, gaps="tell") as reader:
        assert numbers(received(reader, 2)) == [(5, 5), (6, 0)]


def test_a_gap_is_an_error_that_stays_until_a_new_reader_is_made(world: KafkaWorld) -> None:
    world.append(announcements(world, [0, 1, 1, 4, 5]))
    reader = AnnouncementReader(world.connection, world.topics.changes, [0], value)

    assert numbers(received(reader, 2)) == [(0, 0), (1, 0)]
    for number in (4, 5):
        with pytest.raises(AnnouncementsMissing, match="announcement 2 was due") as raised:
            received(reader, 1)
        assert (raised.value.partition, raised.value.expected, raised.value.number) == (0, 2, number)
    assert (reader.positions, reader.numbers) == ({0: 3}, {0: 1})
    reader.close()

    again = AnnouncementReader(
        world.connection, world.topics.changes, [0], value, reader.positions, numbers=reader.numbers, gaps="tell"
    )
    assert numbers(received(again, 2)) == [(4, 2), (5, 0)]
    again.close()


def test_what_cannot_be_decoded_is_not_counted_as_seen(world: KafkaWorld) -> None:
    def picky(record: Record) -> str:
        if record.value == b"value 1":
            raise ValueError("not this one")
        return value(record)

    world.append(announcements(world, [0, 1]))
    with AnnouncementReader(world.connection, world.topics.changes, [0], picky) as reader:
        received(reader, 1)
        with pytest.raises(ValueError, match="not this one"):
            received(reader, 1)
        assert (reader.positions, reader.numbers) == ({0: 1}, {0: 0})


def test_each_partition_counts_for_itself(world: KafkaWorld) -> None:
    world.append([*announcements(world, [7, 8]), *announcements(world, [0, 1], partition=1)])
    reader = AnnouncementReader(world.connection, world.topics.changes, [0, 1], value)

    assert sorted(numbers(received(reader, 4))) == [(0, 0), (1, 0), (7, 0), (8, 0)]
    assert reader.numbers == {0: 8, 1: 1}
    reader.close()


@pytest.mark.parametrize(("isolation", "expected"), [("read_committed", [0, 1]), ("read_uncommitted", [0, 1, 2])])
def test_what_was_aborted_comes_only_to_who_reads_uncommitted(
    world: KafkaWorld, isolation: str, expected: list[int]
) -> None:
    world.begin("one", announcements(world, [0, 1])).commit()
    world.begin("one", announcements(world, [1, 2])).abort()
    connection = KafkaConnection(world.connection.bootstrap_servers, {"isolation.level": isolation})
    reader = AnnouncementReader(connection, world.topics.changes, [0], value)

    assert [item.number for item in received(reader, len(expected))] == expected
    assert reader.poll(0.2) is None
    reader.close()


def test_iterating_yields_one_after_the_other(world: KafkaWorld) -> None:
    world.append(announcements(world, [0, 1, 2]))
    reader = AnnouncementReader(world.connection, world.topics.changes, [0], value)

    assert [item.number for item in islice(reader, 3)] == [0, 1, 2]
    reader.close()


def test_what_retention_removed_before_it_was_read_is_told(world: KafkaWorld) -> None:
    world.append(announcements(world, [0, 1, 2]))
    world.empty(world.topics.changes)
    reader = AnnouncementReader(world.connection, world.topics.changes, [0], value, {0: 1})

    with pytest.raises(ShardRefused, match="cannot be read any more"):
        received(reader, 1)
    reader.close()


def test_a_foreign_record_is_told(world: KafkaWorld) -> None:
    world.append([NewRecord(world.topics.changes, 0, None, b"hello")])
    reader = AnnouncementReader(world.connection, world.topics.changes, [0], value)

    with pytest.raises(ShardRefused, match="no announcement"):
        received(reader, 1)
    reader.close()


def transacted(world: KafkaWorld, numbers: list[int], *, committed: bool = True) -> None:
    transaction = world.begin("shard", announcements(world, numbers))
    (transaction.commit if committed else transaction.abort)()


def test_positions_pass_the_ends_of_transactions(world: KafkaWorld) -> None:
    transacted(world, [0, 1])
    transacted(world, [2], committed=False)
    with AnnouncementReader(world.connection, world.topics.changes, [0], value) as reader:
        received(reader, 2)
        wait_equal(lambda: reader.poll(0.1) is None and reader.positions, {0: 5})


def test_a_position_whose_transaction_end_was_removed_goes_on_and_misses_nothing(world: KafkaWorld) -> None:
    transacted(world, [0, 1])
    world.empty(world.topics.changes)
    with AnnouncementReader(world.connection, world.topics.changes, [0], value, {0: 2}, numbers={0: 1}) as reader:
        wait_equal(lambda: reader.poll(0.1) is None and reader.positions, {0: 3})
        transacted(world, [2])
        assert numbers(received(reader, 1)) == [(2, 0)]


def test_announcements_that_were_removed_unread_are_counted_where_the_last_number_is_known(world: KafkaWorld) -> None:
    transacted(world, [0, 1])
    transacted(world, [2, 3])
    world.empty(world.topics.changes)
    transacted(world, [4])
    topic = world.topics.changes
    with AnnouncementReader(world.connection, topic, [0], value, {0: 3}, numbers={0: 1}, gaps="tell") as reader:
        assert numbers(received(reader, 1)) == [(4, 2)]
    with AnnouncementReader(world.connection, topic, [0], value, {0: 3}, numbers={0: 1}) as reader:
        with pytest.raises(AnnouncementsMissing, match="announcement 2 was due"):
            received(reader, 1)
        kept = reader.positions[0]
        wait_until(lambda: reader.poll(0.1) is None)
        assert reader.positions[0] == kept, "what was not handed out is not passed by"
    with (
        AnnouncementReader(world.connection, topic, [0], value, {0: 3}) as reader,
        pytest.raises(ShardRefused, match="whether announcements were among what is gone is not known"),
    ):
        received(reader, 1)
