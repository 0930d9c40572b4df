from collections.abc import Iterator

import pytest

from processor.engine.announcements import CHANGES, COMMITS, DEAD_LETTERS, OutputRecord, Tail
from processor.engine.errors import ShardRefused, SinkUnclear
from processor.engine.inputs import Record
from processor.engine.ports import Sink
from processor.memory.broker import FencedError, NewRecord
from tests.contracts.broker_world import World, addressed, open_world, records_of
from tests.waiting import wait_equal

EMPTY = {CHANGES: Tail(seq=None), COMMITS: Tail(seq=None), DEAD_LETTERS: Tail(seq=None)}


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.services)])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    with open_world(request, namespace) as opened:
        yield opened


@pytest.fixture
def sink(world: World) -> Iterator[Sink]:
    sink = world.sink()
    yield sink
    sink.close()


def commit_of(seq: int, changes: int, dead_letters: int = 0) -> list[OutputRecord]:
    """Return everything that commit `seq` publishes."""
    return [
        *records_of(CHANGES, seq, changes),
        *records_of(DEAD_LETTERS, seq, dead_letters),
        *records_of(COMMITS, seq, 1),
    ]


def changes_in(world: World) -> list[Record]:
    return world.committed(world.topics.changes)


def texts(records: list[Record]) -> list[str]:
    return [(record.value or b"").decode() for record in records]


def test_what_is_published_stands_in_the_topics_of_its_roles_in_order(world: World, sink: Sink) -> None:
    sink.open()
    sink.publish(commit_of(1, changes=3, dead_letters=2))

    changes = changes_in(world)
    assert texts(changes) == ["1.0", "1.1", "1.2"]
    assert texts(world.committed(world.topics.dead_letters)) == ["1.0", "1.1"]
    assert texts(world.committed(world.topics.commits)) == ["1.0"]
    sent = records_of(CHANGES, 1, 3)
    assert [(record.key, record.headers) for record in changes] == [(record.key, record.headers) for record in sent]


def test_a_record_without_key_or_value_is_published_as_it_is(world: World, sink: Sink) -> None:
    headers = (("b", None), ("a", b"1"), ("a", b"\xff"))
    sink.open()
    sink.publish([OutputRecord(DEAD_LETTERS, None, None, headers)])

    (record,) = world.committed(world.topics.dead_letters)
    assert (record.key, record.value, record.headers) == (None, None, headers)


def test_tails_of_topics_never_written_say_so(sink: Sink) -> None:
    sink.open()
    assert sink.tails() == EMPTY


def test_tails_are_the_last_records_published(sink: Sink) -> None:
    sink.open()
    for seq in (1, 2, 3):
        sink.publish(commit_of(seq, changes=seq, dead_letters=1 if seq == 2 else 0))

    assert sink.tails() == {
        CHANGES: Tail(seq=3, epoch=7, index=2, count=3, number=3002),
        COMMITS: Tail(seq=3, epoch=7, index=0, count=1),
        DEAD_LETTERS: Tail(seq=2, epoch=7, index=0, count=1, number=2000),
    }


def test_a_commit_published_half_shows_where_to_resume(world: World, sink: Sink) -> None:
    world.append(addressed(records_of(CHANGES, 4, 10, indexes=range(6)), world.topics))
    sink.open()
    assert sink.tails()[CHANGES] == Tail(seq=4, epoch=7, index=5, count=10, number=4005)

    sink.publish([*records_of(CHANGES, 4, 10, indexes=range(6, 10)), *records_of(COMMITS, 4, 1)])

    assert texts(changes_in(world)) == [f"4.{index}" for index in range(10)]
    assert sink.tails()[CHANGES].index == 9


def test_a_partition_emptied_by_retention_is_told_from_one_never_written(world: World, sink: Sink) -> None:
    sink.open()
    sink.publish(commit_of(1, changes=2))
    world.empty(world.topics.changes)

    tails = sink.tails()

    assert tails[CHANGES] == Tail(seq=None, emptied=True)
    assert tails[COMMITS].seq == 1
    assert tails[DEAD_LETTERS] == Tail(seq=None)


def test_a_tail_is_found_behind_thousands_of_aborted_records(world: World, sink: Sink) -> None:
    sink.open()
    sink.publish(commit_of(1, changes=2))
    for seq in range(2, 12):
        world.begin("shard", addressed(records_of(CHANGES, seq, 500), world.topics)).abort()
    sink.open()

    assert sink.tails()[CHANGES] == Tail(seq=1, epoch=7, index=1, count=2, number=1001)


def test_nothing_but_aborted_records_is_nothing_published(world: World, sink: Sink) -> None:
    world.begin("shard", addressed(commit_of(1, changes=200), world.topics)).abort()
    sink.open()

    assert sink.tails() == EMPTY


def test_a_foreign_open_transaction_refuses_the_shard_until_it_ends(world: World, sink: Sink) -> None:
    sink.open()
    sink.publish(commit_of(1, changes=2))
    foreign = world.begin("foreign", addressed(records_of(CHANGES, 90, 1), world.topics))
    sink.publish(commit_of(2, changes=2))

    with pytest.raises(ShardRefused, match="foreign open transaction"):
        sink.tails()

    foreign.abort()
    assert sink.tails()[CHANGES].seq == 2


def test_a_record_that_is_not_ours_at_the_tail_refuses_the_shard(world: World, sink: Sink) -> None:
    sink.open()
    world.append([NewRecord(world.topics.changes, 0, b"key", b"value", (("processor-seq", b"x"),))])

    with pytest.raises(ShardRefused, match="processor-seq"):
        sink.tails()


def test_opening_fences_the_older_writer_and_nothing_of_its_last_words_is_seen(world: World, sink: Sink) -> None:
    younger = world.sink()
    sink.open()
    sink.publish(commit_of(1, changes=2))
    younger.open()

    with pytest.raises(SinkUnclear):
        sink.publish(commit_of(2, changes=2))
    younger.publish(commit_of(2, changes=1))

    assert texts(changes_in(world)) == ["1.0", "1.1", "2.0"]
    younger.close()


def test_a_sink_that_ended_unclear_publishes_nothing_until_it_is_opened(world: World, sink: Sink) -> None:
    younger = world.sink()
    sink.open()
    younger.open()
    for _ in range(2):
        with pytest.raises(SinkUnclear):
            sink.publish(commit_of(1, changes=1))

    sink.open()
    sink.publish(commit_of(2, changes=1))
    with pytest.raises(SinkUnclear):
        younger.publish(commit_of(3, changes=1))

    assert texts(changes_in(world)) == ["2.0"]
    younger.close()


def test_nothing_is_published_before_open(world: World, sink: Sink) -> None:
    with pytest.raises(SinkUnclear):
        sink.publish(commit_of(1, changes=1))

    assert changes_in(world) == []


def test_opening_aborts_what_a_killed_writer_left_open(world: World, sink: Sink) -> None:
    sink.open()
    sink.publish(commit_of(1, changes=1))
    killed = world.begin("shard", addressed(commit_of(2, changes=5), world.topics))

    sink.open()

    with pytest.raises(FencedError):
        killed.commit()
    assert sink.tails()[CHANGES].seq == 1
    sink.publish(commit_of(2, changes=1))
    assert texts(changes_in(world)) == ["1.0", "2.0"]


def test_a_thousand_records_are_each_there_once(world: World, sink: Sink) -> None:
    sink.open()
    for seq in range(1, 21):
        sink.publish(commit_of(seq, changes=50))

    expected = [f"{seq}.{index}" for seq in range(1, 21) for index in range(50)]
    assert texts(changes_in(world)) == expected
    assert texts(world.committed(world.topics.commits)) == [f"{seq}.0" for seq in range(1, 21)]


def test_the_largest_record_allowed_can_be_published(world: World, sink: Sink) -> None:
    sink.open()
    headers = (("processor-seq", b"1"),)
    key = b"k" * 100
    value = b"\x00" * (sink.record_bytes_max() - len(key) - len(headers[0][0]) - 1)

    sink.publish([OutputRecord(CHANGES, key, value, headers)] * 3)

    assert [len(record.value or b"") for record in changes_in(world)] == [len(value)] * 3


def test_a_closed_sink_can_be_opened_again(world: World, sink: Sink) -> None:
    sink.open()
    sink.publish(commit_of(1, changes=1))
    sink.close()
    sink.close()
    sink.open()
    sink.publish(commit_of(2, changes=1))

    wait_equal(lambda: texts(changes_in(world)), ["1.0", "2.0"])
    assert sink.tails()[COMMITS].seq == 2
