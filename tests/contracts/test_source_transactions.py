"""What the port `Source` tells of offsets that hold no data record."""

from collections.abc import Iterator

import pytest

from processor.engine.inputs import NORMAL, LaneName
from processor.engine.ports import Source
from processor.engine.positions import EmptyStretch, Stretches
from tests.contracts.broker_world import World, inputs, open_world, taken, values
from tests.waiting import wait_equal


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.services)])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    with open_world(request, namespace) as opened:
        yield opened


@pytest.fixture
def source(world: World) -> Iterator[Source]:
    source = world.source()
    yield source
    source.close()


def reached_end(world: World, source: Source, lane: LaneName, end: int) -> Stretches:
    """Take, and expect no record, until the end of partition 0 is known to be there."""
    place = (world.topics.inputs[lane], 0)

    def take() -> int:
        source.wait(1)
        assert not source.take(lane, 10)
        stretch = source.scanned().get(place)
        return stretch.end if stretch else 0

    wait_equal(take, end)
    return source.scanned()


def test_control_and_aborted_records_behind_the_last_record_are_known_to_be_no_data(
    world: World, source: Source
) -> None:
    topic = world.topics.normal
    world.begin("one", inputs(topic, range(2))).commit()
    world.begin("two", inputs(topic, range(2, 5))).abort()
    source.assign({topic: {0: 0}})

    assert source.scanned() == {}
    assert values(taken(source, NORMAL, 2)) == [0, 1]
    assert reached_end(world, source, NORMAL, 7) == {(topic, 0): EmptyStretch(2, 7)}

    world.append(inputs(topic, [5]))
    assert values(taken(source, NORMAL, 1)) == [5]
    assert source.scanned() == {}

    world.begin("two", inputs(topic, range(6, 8))).abort()
    source.assign({topic: {0: 8}})
    assert source.scanned() == {}
    assert reached_end(world, source, NORMAL, 11) == {(topic, 0): EmptyStretch(8, 11)}


def test_an_open_transaction_is_not_passed_by(world: World, source: Source) -> None:
    topic = world.topics.normal
    world.begin("one", inputs(topic, range(2))).commit()
    open_one = world.begin("two", inputs(topic, range(2, 4)))
    source.assign({topic: {0: 0}})

    assert values(taken(source, NORMAL, 2)) == [0, 1]
    assert reached_end(world, source, NORMAL, 3) == {(topic, 0): EmptyStretch(2, 3)}
    open_one.commit()
    assert values(taken(source, NORMAL, 2)) == [2, 3]


def test_retention_behind_what_was_read_does_not_stop_a_reader_that_waits_there(world: World, source: Source) -> None:
    topic = world.topics.normal
    world.begin("one", inputs(topic, range(2))).commit()
    source.assign({topic: {0: 0}})
    assert values(taken(source, NORMAL, 2)) == [0, 1]
    reached_end(world, source, NORMAL, 3)

    world.empty(topic)
    world.append(inputs(topic, [3]))
    assert values(taken(source, NORMAL, 1)) == [3]
