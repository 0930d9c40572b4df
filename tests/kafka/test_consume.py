from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any, Protocol

import pytest

from processor.avro.catalogue import Catalogue
from processor.client.codec import announcement_reader
from processor.configuration.settings import PROJECT_DIRECTORY
from processor.engine.errors import ShardRefused
from processor.engine.inputs import Record
from processor.kafka.connection import KafkaConnection
from processor.kafka.consume import NONE_YET, AnnouncementReader, AnnouncementsMissing, From, Received
from processor.memory.broker import NewRecord
from tests.contracts.broker_world import KafkaWorld
from tests.waiting import wait_equal, wait_until


class Open(Protocol):
    """Opens a reader of the world's changes that is closed after the test."""

    def __call__(
        self, start: From = ..., *, partitions: tuple[int, ...] = ..., connection: Any = ..., **options: Any
    ) -> AnnouncementReader: ...


@pytest.fixture
def reading(world: KafkaWorld) -> Iterator[Open]:
    with ExitStack() as stack:

        def begin(
            start: From = "beginning", *, partitions: tuple[int, ...] = (0,), connection: Any = None, **options: Any
        ) -> AnnouncementReader:
            source, topic = connection or world.connection, world.topics.changes
            decode = options.pop("decode", value)
            return stack.enter_context(AnnouncementReader(source, topic, partitions, decode, start, **options))

        yield begin


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


def test_announcements_come_decoded_from_the_beginning(world: KafkaWorld, reading: Open) -> None:
    world.append(announcements(world, [0, 1, 2]))
    reader = reading()
    items = received(reader, 3)
    assert numbers(items) == [(0, 0), (1, 0), (2, 0)]
    assert [item.value for item in items] == ["value 0", "value 1", "value 2"]
    assert reader.positions == {0: 3}
    assert reader.poll(0.1) is None
    reader.close()
    reader.close()


def test_a_decoding_reader_leaves_nothing_out_unasked_either(world: KafkaWorld) -> None:
    world.append(announcements(world, [0, 1, 4]))
    catalogue = Catalogue.load(PROJECT_DIRECTORY / "schemas")
    with announcement_reader(world.connection, world.topics.changes, catalogue) as reader:
        assert numbers(received(reader, 2)) == [(0, 0), (1, 0)]
        with pytest.raises(AnnouncementsMissing, match="announcement 2 was due"):
            received(reader, 1)


@pytest.mark.parametrize(
    ("written", "start", "seen", "expected"),
    [
        (([4, 5, 5, 4, 6, 9, 8, 10],), "beginning", None, [(4, 0), (5, 0), (6, 0), (9, 2), (10, 0)]),
        (([0, 1, 2, 4],), {0: 2}, {0: 2}, [(4, 1)]),
        (([5, 6],), "beginning", {0: NONE_YET}, [(5, 5), (6, 0)]),
        (([0, 1, 2], [0, 1]), {0: 2}, {0: 1}, [(0, 0), (1, 0), (2, 0)]),
        (([7, 8], [0, 1]), "beginning", None, [(0, 0), (1, 0), (7, 0), (8, 0)]),
    ],
    ids=["repeats dropped", "from kept positions", "before the first", "a new partition", "each partition for itself"],
)
def test_what_is_read_and_how_much_is_missing_before_it(
    world: KafkaWorld,
    reading: Open,
    written: tuple[list[int], ...],
    start: From,
    seen: dict[int, int] | None,
    expected: list[tuple[int, int]],
) -> None:
    for partition, some in enumerate(written):
        world.append(announcements(world, some, partition))
    reader = reading(start, partitions=tuple(range(len(written))), numbers=seen, gaps="tell")
    assert sorted(numbers(received(reader, len(expected)))) == expected
    assert reader.positions == {partition: len(some) for partition, some in enumerate(written)}
    assert reader.numbers == {partition: some[-1] for partition, some in enumerate(written)}


def test_reading_from_the_end_sees_what_comes_from_now_on(world: KafkaWorld, reading: Open) -> None:
    world.append(announcements(world, [0, 1]))
    reader = reading("end")
    world.append(announcements(world, [2]))
    assert numbers(received(reader, 1)) == [(2, 0)]


def test_a_gap_is_an_error_that_stays_until_a_new_reader_is_made(world: KafkaWorld, reading: Open) -> None:
    world.append(announcements(world, [0, 1, 1, 4, 5]))
    reader = reading()
    assert numbers(received(reader, 2)) == [(0, 0), (1, 0)]
    for number in (4, 5):
        with pytest.raises(AnnouncementsMissing, match="announcement 2 was due") as raised:
            received(reader, 1)
        assert (raised.value.partition, raised.value.expected, raised.value.number) == (0, 2, number)
    assert (reader.positions, reader.numbers) == ({0: 3}, {0: 1})
    again = reading(reader.positions, numbers=reader.numbers, gaps="tell")
    assert numbers(received(again, 2)) == [(4, 2), (5, 0)]


def test_what_cannot_be_decoded_is_not_counted_as_seen(world: KafkaWorld, reading: Open) -> None:
    def picky(record: Record) -> str:
        if record.value == b"value 1":
            raise ValueError("not this one")
        return value(record)

    world.append(announcements(world, [0, 1]))
    reader = reading(decode=picky)
    received(reader, 1)
    with pytest.raises(ValueError, match="not this one"):
        received(reader, 1)
    assert (reader.positions, reader.numbers) == ({0: 1}, {0: 0})


@pytest.mark.parametrize(("isolation", "expected"), [("read_committed", [0, 1]), ("read_uncommitted", [0, 1, 2])])
def test_what_was_aborted_comes_only_to_who_reads_uncommitted(
    world: KafkaWorld, reading: Open, isolation: str, expected: list[int]
) -> None:
    transacted(world, [0, 1])
    transacted(world, [1, 2], committed=False)
    reader = reading(connection=KafkaConnection(world.connection.bootstrap_servers, {"isolation.level": isolation}))
    assert [item.number for item in received(reader, len(expected))] == expected
    assert reader.poll(0.2) is None


def test_iterating_yields_one_after_the_other(world: KafkaWorld, reading: Open) -> None:
    world.append(announcements(world, [0, 1, 2]))
    assert [item.number for item in islice(reading(), 3)] == [0, 1, 2]


def test_what_retention_removed_before_it_was_read_is_told(world: KafkaWorld, reading: Open) -> None:
    world.append(announcements(world, [0, 1, 2]))
    world.empty(world.topics.changes)
    with pytest.raises(ShardRefused, match="cannot be read any more"):
        received(reading({0: 1}), 1)


def test_a_foreign_record_is_told(world: KafkaWorld, reading: Open) -> None:
    world.append([NewRecord(world.topics.changes, 0, None, b"hello")])
    with pytest.raises(ShardRefused, match="no announcement"):
        received(reading(), 1)


def transacted(world: KafkaWorld, numbers: list[int], *, committed: bool = True) -> None:
    transaction = world.begin("shard", announcements(world, numbers))
    (transaction.commit if committed else transaction.abort)()


def test_positions_pass_the_ends_of_transactions(world: KafkaWorld, reading: Open) -> None:
    transacted(world, [0, 1])
    transacted(world, [2], committed=False)
    reader = reading()
    received(reader, 2)
    wait_equal(lambda: reader.poll(0.1) is None and reader.positions, {0: 5})


def test_a_position_whose_transaction_end_was_removed_goes_on_and_misses_nothing(
    world: KafkaWorld, reading: Open
) -> None:
    transacted(world, [0, 1])
    world.empty(world.topics.changes)
    reader = reading({0: 2}, numbers={0: 1})
    wait_equal(lambda: reader.poll(0.1) is None and reader.positions, {0: 3})
    transacted(world, [2])
    assert numbers(received(reader, 1)) == [(2, 0)]


def test_announcements_that_were_removed_unread_are_counted_where_the_last_number_is_known(
    world: KafkaWorld, reading: Open
) -> None:
    transacted(world, [0, 1])
    transacted(world, [2, 3])
    world.empty(world.topics.changes)
    transacted(world, [4])
    assert numbers(received(reading({0: 3}, numbers={0: 1}, gaps="tell"), 1)) == [(4, 2)]
    reader = reading({0: 3}, numbers={0: 1})
    with pytest.raises(AnnouncementsMissing, match="announcement 2 was due"):
        received(reader, 1)
    kept = reader.positions[0]
    wait_until(lambda: reader.poll(0.1) is None)
    assert reader.positions[0] == kept, "what was not handed out is not passed by"
    with pytest.raises(ShardRefused, match="whether announcements were among what is gone is not known"):
        received(reading({0: 3}), 1)
