from collections.abc import Iterator
from threading import Thread
from time import monotonic

import pytest

from processor.engine.errors import ShardRefused, SourceUnavailable
from processor.engine.inputs import HIGH, NORMAL, LaneName, Record, Watermarks
from processor.engine.ports import Source
from processor.memory.broker import NewRecord
from tests.contracts.broker_world import World, inputs, open_world, taken, values
from tests.waiting import wait_equal, wait_for, wait_until

LONG_WAIT_MS = 30_000


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.services)])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    with open_world(request, namespace) as opened:
        yield opened


@pytest.fixture
def source(world: World) -> Iterator[Source]:
    source = world.source()
    yield source
    source.close()


def test_facts_name_all_five_topics_and_how_far_the_inputs_reach(world: World, source: Source) -> None:
    world.append(inputs(world.topics.high, range(3)))

    facts = source.facts()

    assert set(facts.topic_ids) == set(world.topics.names)
    assert len(set(facts.topic_ids.values())) == 5
    assert facts.inputs == {
        (world.topics.high, 0): Watermarks(low=0, high=3),
        (world.topics.normal, 0): Watermarks(low=0, high=0),
    }


def test_the_end_in_facts_is_the_last_stable_offset(world: World, source: Source) -> None:
    world.append(inputs(world.topics.normal, range(2)))
    transaction = world.begin("producer", inputs(world.topics.normal, range(2, 5)))

    assert source.facts().inputs[world.topics.normal, 0] == Watermarks(low=0, high=2)
    transaction.commit()
    wait_equal(lambda: source.facts().inputs[world.topics.normal, 0].high, 6)


def test_facts_tell_what_retention_left(world: World, source: Source) -> None:
    world.append(inputs(world.topics.high, range(3)))
    world.empty(world.topics.high)

    assert source.facts().inputs[world.topics.high, 0] == Watermarks(low=3, high=3)


def test_a_topic_made_again_has_another_id(world: World, source: Source) -> None:
    before = source.facts().topic_ids
    world.recreate(world.topics.normal)
    after = source.facts().topic_ids

    assert {name for name in before if before[name] != after[name]} == {world.topics.normal}


def test_a_missing_topic_makes_the_source_unavailable_and_is_named(world: World, source: Source) -> None:
    world.delete(world.topics.changes)

    with pytest.raises(SourceUnavailable, match=f"{world.topics.changes} does not exist"):
        source.facts()


def test_reading_begins_at_the_assigned_offsets(world: World, source: Source) -> None:
    world.append([*inputs(world.topics.high, range(10)), *inputs(world.topics.normal, range(100, 110))])
    source.assign({world.topics.high: {0: 7}, world.topics.normal: {0: 4}})

    assert values(taken(source, HIGH, 3)) == [7, 8, 9]
    assert values(taken(source, NORMAL, 6)) == list(range(104, 110))


def test_take_returns_no_more_than_the_limit_and_goes_on_where_it_stopped(world: World, source: Source) -> None:
    world.append(inputs(world.topics.normal, range(100)))
    source.assign({world.topics.normal: {0: 0}})
    seen: list[Record] = []

    def take() -> int:
        records = source.take(NORMAL, 7)
        assert len(records) <= 7
        seen.extend(records)
        return len(seen)

    wait_equal(take, 100)
    assert values(seen) == list(range(100))
    assert [record.offset for record in seen] == list(range(100))


def test_nothing_here_is_an_empty_list(world: World, source: Source) -> None:
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 0}})

    source.wait(1)
    assert source.take(HIGH, 10) == []
    assert source.take(NORMAL, 10) == []


def test_assigning_again_drops_what_was_prefetched(world: World, source: Source) -> None:
    world.append([*inputs(world.topics.high, range(50)), *inputs(world.topics.normal, range(50))])
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 0}})
    assert values(taken(source, NORMAL, 1)) == [0]
    source.wait(LONG_WAIT_MS)

    source.assign({world.topics.high: {0: 40}, world.topics.normal: {0: 30}})

    assert values(taken(source, HIGH, 10)) == list(range(40, 50))
    assert values(taken(source, NORMAL, 20)) == list(range(30, 50))
    source.assign({world.topics.high: {0: 2}, world.topics.normal: {0: 3}})
    assert values(taken(source, HIGH, 48)) == list(range(2, 50))
    assert values(taken(source, NORMAL, 47)) == list(range(3, 50))


def test_waiting_ends_when_a_high_record_arrives_and_take_returns_it_first(world: World, source: Source) -> None:
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 0}})
    producer = Thread(target=lambda: world.append(inputs(world.topics.high, range(3))), daemon=True)
    began_s = monotonic()
    producer.start()

    source.wait(LONG_WAIT_MS)

    first = source.take(HIGH, 1)
    assert monotonic() - began_s < LONG_WAIT_MS / 1000
    producer.join()
    assert values(first) == [0]
    source.wait(LONG_WAIT_MS)
    source.wait(LONG_WAIT_MS)
    assert values(taken(source, HIGH, 2)) == [1, 2]


def test_a_record_waited_for_counts_towards_the_limit(world: World, source: Source) -> None:
    world.append(inputs(world.topics.high, range(5)))
    source.assign({world.topics.high: {0: 0}})
    source.wait(LONG_WAIT_MS)

    assert values(source.take(HIGH, 1)) == [0]
    assert values(taken(source, HIGH, 4)) == [1, 2, 3, 4]


def test_ends_of_transactions_and_what_they_aborted_are_skipped(world: World, source: Source) -> None:
    world.begin("one", inputs(world.topics.normal, [1, 2])).commit()
    world.begin("two", inputs(world.topics.normal, [3])).abort()
    world.append(inputs(world.topics.normal, [4]))
    source.assign({world.topics.normal: {0: 0}})

    records = taken(source, NORMAL, 3)

    assert values(records) == [1, 2, 4]
    assert [record.offset for record in records[:2]] == [0, 1]
    assert records[2].offset > 3  # a transaction's end is written a little after it was acknowledged


def test_an_open_transaction_hides_what_is_behind_it(world: World, source: Source) -> None:
    world.append(inputs(world.topics.normal, [1]))
    transaction = world.begin("one", inputs(world.topics.normal, [2]))
    world.append(inputs(world.topics.normal, [3]))
    source.assign({world.topics.normal: {0: 0}})

    assert values(taken(source, NORMAL, 1)) == [1]
    source.wait(100)
    assert source.take(NORMAL, 10) == []
    transaction.commit()
    assert values(taken(source, NORMAL, 2)) == [2, 3]


def test_a_record_comes_as_it_was_written(world: World, source: Source) -> None:
    headers = (("a", b"1"), ("b", None), ("a", b"\xff\x00"))
    written = NewRecord(world.topics.high, 0, b"\x00key", b"\xffvalue", headers, timestamp_ms=1_234_567_890_123)
    world.append([written, NewRecord(world.topics.high, 0, None, None)])
    source.assign({world.topics.high: {0: 0}})

    full, bare = taken(source, HIGH, 2)

    assert full == Record(world.topics.high, 0, 0, 1_234_567_890_123, b"\x00key", b"\xffvalue", headers)
    assert (bare.key, bare.value, bare.headers) == (None, None, ())
    assert bare.timestamp_ms > 0


@pytest.mark.parametrize("lane", [HIGH, NORMAL])
def test_a_position_beyond_the_end_refuses_the_shard_with_the_facts(
    world: World, source: Source, lane: LaneName
) -> None:
    topic = world.topics.inputs[lane]
    world.append(inputs(topic, range(3)))
    source.assign({topic: {0: 9}})

    refusal = refused(source, lane)

    assert f"{topic}[0]" in refusal
    assert "9" in refusal
    assert "accept-gap" in refusal


def test_a_position_that_retention_passed_refuses_until_another_is_assigned(world: World, source: Source) -> None:
    world.append(inputs(world.topics.normal, range(5)))
    world.empty(world.topics.normal)
    world.append(inputs(world.topics.normal, [5]))
    source.assign({world.topics.normal: {0: 2}})

    refused(source, NORMAL)
    with pytest.raises(ShardRefused):
        source.take(NORMAL, 10)
    source.assign({world.topics.normal: {0: 5}})
    assert values(taken(source, NORMAL, 1)) == [5]


def test_a_topic_made_again_while_it_is_read_refuses_the_shard(world: World, source: Source) -> None:
    world.append(inputs(world.topics.normal, range(3)))
    source.facts()
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 0}})
    assert values(taken(source, NORMAL, 3)) == [0, 1, 2]

    world.recreate(world.topics.normal)

    refusal = refused(source, NORMAL)
    assert world.topics.normal in refusal
    assert "made again" in refusal


def test_a_topic_deleted_while_it_is_read_makes_the_source_unavailable(world: World, source: Source) -> None:
    source.facts()
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 0}})
    world.delete(world.topics.commits)

    def is_unavailable() -> bool:
        source.wait(1)
        try:
            assert source.take(HIGH, 10) == []
        except SourceUnavailable as failure:
            return f"{world.topics.commits} does not exist" in str(failure)
        return False

    wait_until(is_unavailable)


def refused(source: Source, lane: LaneName) -> str:
    """Take until the source refuses; return what it says."""

    def take() -> str:
        source.wait(1)
        try:
            assert source.take(lane, 10) == []
        except SourceUnavailable:
            return ""
        except ShardRefused as refusal:
            return str(refusal)
        return ""

    return wait_for(take, bool)


def test_several_partitions_of_a_lane_come_each_in_its_order(world: World) -> None:
    world.append(inputs(world.topics.normal, range(20)))
    world.append(inputs(world.topics.normal, range(100, 120), partition=1))
    source = world.source(partitions=(0, 1))
    source.assign({world.topics.normal: {0: 5, 1: 10}})

    records = taken(source, NORMAL, 25)

    assert values([record for record in records if record.partition == 0]) == list(range(5, 20))
    assert values([record for record in records if record.partition == 1]) == list(range(110, 120))
    assert set(source.facts().inputs) == {(topic, p) for topic in world.topics.inputs.values() for p in (0, 1)}
    source.close()


def test_group_offsets_reach_the_broker(world: World, source: Source) -> None:
    world.append(inputs(world.topics.high, range(5)))
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 0}})

    source.commit_group_offsets({world.topics.high: {0: 4}, world.topics.normal: {0: 0}})

    wait_equal(lambda: world.group_offset(world.topics.high, 0), 4)
    wait_equal(lambda: world.group_offset(world.topics.normal, 0), 0)


def test_closing_twice_is_closing(source: Source) -> None:
    source.close()
    source.close()


def test_a_closed_source_begins_anew_with_its_facts(world: World, source: Source) -> None:
    world.append(inputs(world.topics.high, range(3)))
    source.facts()
    source.assign({world.topics.high: {0: 0}, world.topics.normal: {0: 0}})
    assert values(taken(source, HIGH, 3)) == [0, 1, 2]
    source.close()
    assert source.facts().inputs[world.topics.high, 0] == Watermarks(low=0, high=3)
    source.assign({world.topics.high: {0: 1}, world.topics.normal: {0: 0}})
    assert values(taken(source, HIGH, 2)) == [1, 2]
