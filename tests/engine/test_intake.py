import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.engine.intake import Allotment, Intake, Waiting, allot, count_high_batches
from processor.engine.limits import Limits
from processor.memory.source import MemorySource
from tests.engine.world import TOPICS, World


def intake(world: World) -> Intake:
    source = MemorySource(world.broker, {"high": "high", "normal": "normal"}, list(TOPICS.values()))
    made = Intake(source, limits=world.limits, clock=world.clock)
    made.rewind({"high": {0: 0}, "normal": {0: 0}})
    return made


def submit(world: World, count: int, *, high: bool = False) -> None:
    for number in range(count):
        world.submit("DeviceReported", high=high, device=f"d{number}", reading=1)


def test_high_records_come_first_and_overtake_those_that_wait() -> None:
    world = World(batch_events_max=10)
    submit(world, 3)
    submit(world, 4, high=True)
    taken = intake(world).take()
    assert taken is not None
    assert [record.topic for record in taken.records] == ["high"] * 4 + ["normal"] * 3
    assert (taken.high, taken.overtook, taken.guard) == (4, 4, False)


def test_nothing_waiting_is_no_batch() -> None:
    assert intake(World()).take() is None


def test_what_was_fetched_and_not_taken_is_forgotten_by_a_rewind() -> None:
    world = World(batch_events_max=2)
    submit(world, 5)
    reader = intake(world)
    reader.take()
    reader.rewind({"high": {0: 0}, "normal": {0: 4}})
    taken = reader.take()
    assert taken is not None
    assert [record.offset for record in taken.records] == [4]


def test_a_normal_slice_is_what_its_time_is_worth() -> None:
    world = World(batch_events_max=500, normal_slice_ms=5.0)
    submit(world, 500)
    reader = intake(world)
    for _ in range(100):
        reader.learn(events=500, work_ms=50.0)
    taken = reader.take()
    assert taken is not None
    assert 45 <= len(taken.records) <= 55


def test_small_dear_batches_do_not_shrink_the_slices_to_nothing() -> None:
    world = World(batch_events_max=500, normal_slice_ms=5.0)
    submit(world, 500)
    reader = intake(world)
    for _ in range(50):
        reader.learn(events=500, work_ms=10.0)
    for _ in range(20):
        reader.learn(events=1, work_ms=5.0)
    taken = reader.take()
    assert taken is not None
    assert len(taken.records) > 20


def test_normal_records_that_waited_too_long_get_their_share() -> None:
    world = World(batch_events_max=16, normal_wait_max_ms=1000)
    submit(world, 5)
    submit(world, 200, high=True)
    reader = intake(world)
    first = reader.take()
    world.clock.sleep(1.1)
    second = reader.take()
    assert first is not None
    assert second is not None
    assert first.high == 16
    assert (second.high, len(second.records), second.guard) == (14, 16, True)


def test_large_records_fill_a_batch_before_it_has_its_number_and_no_more_are_fetched_meanwhile() -> None:
    world = World(batch_events_max=10, batch_bytes_max=2500)
    for _ in range(10):
        world.submit_raw(bytes(1000))
    submit(world, 1)
    reader = intake(world)
    taken = [reader.take() for _ in range(5)]
    assert [len(batch.records) if batch else 0 for batch in taken] == [3, 3, 3, 1, 1]


def test_normal_records_wait_for_high_ones_that_are_too_large_for_one_batch() -> None:
    world = World(batch_events_max=10, batch_bytes_max=2500)
    for _ in range(4):
        world.submit_raw(bytes(1000), high=True)
    submit(world, 2)
    reader = intake(world)
    first, second = reader.take(), reader.take()
    assert first is not None
    assert second is not None
    assert (first.high, len(first.records)) == (3, 3)
    assert (second.high, len(second.records)) == (1, 3)


LIMITS = Limits(batch_events_max=100, normal_share=0.125, high_batches_max=3, normal_wait_max_ms=1000)


@pytest.mark.parametrize(
    ("waiting", "high_batches", "given_out"),
    [
        pytest.param(Waiting(500, 500), 0, Allotment(100, 0), id="high records fill the batch first"),
        pytest.param(Waiting(10, 500), 0, Allotment(10, 50), id="normal ones take a slice of the room that is left"),
        pytest.param(Waiting(80, 500), 0, Allotment(80, 20), id="and never more than the room"),
        pytest.param(Waiting(500, 500), 3, Allotment(88, 12, guard=True), id="a share after too many high batches"),
        pytest.param(Waiting(500, 500, normal_wait_ms=1000), 0, Allotment(88, 12, guard=True), id="or too long a wait"),
        pytest.param(Waiting(10, 5), 3, Allotment(10, 5), id="no guard where high records lose nothing"),
    ],
)
def test_room_is_allotted_to_the_lanes(waiting: Waiting, high_batches: int, given_out: Allotment) -> None:
    assert allot(waiting, high_batches=high_batches, slice_events=50, limits=LIMITS) == given_out


def test_a_share_of_zero_is_strict_priority() -> None:
    strict = Limits(batch_events_max=100, normal_share=0.0, high_batches_max=3)
    assert allot(Waiting(500, 500, 10**9), high_batches=10**6, slice_events=50, limits=strict) == Allotment(100, 0)


def test_batches_without_normal_count_only_while_normal_waits() -> None:
    assert count_high_batches(2, Waiting(5, 1), Allotment(5, 0)) == 3
    assert count_high_batches(2, Waiting(5, 0), Allotment(5, 0)) == 0
    assert count_high_batches(2, Waiting(5, 1), Allotment(5, 1)) == 0


@given(
    high=st.integers(0, 300),
    normal=st.integers(0, 300),
    wait_ms=st.integers(0, 3000),
    high_batches=st.integers(0, 6),
    slice_events=st.integers(0, 400),
    events_max=st.integers(1, 120),
)
def test_an_allotment_fits_the_batch_and_is_never_empty_while_something_waits(
    high: int, normal: int, wait_ms: int, high_batches: int, slice_events: int, events_max: int
) -> None:
    limits = Limits(batch_events_max=events_max, high_batches_max=3)
    given_out = allot(
        Waiting(high, normal, wait_ms), high_batches=high_batches, slice_events=slice_events, limits=limits
    )
    assert 0 <= given_out.high <= high
    assert 0 <= given_out.normal <= normal
    assert given_out.high + given_out.normal <= events_max
    assert (given_out.high + given_out.normal > 0) == (high + normal > 0)


@given(flood=st.integers(500, 5000))
def test_normal_progresses_under_an_endless_high_flood(flood: int) -> None:
    counted, taken, batches = 0, 0, 20
    for _ in range(batches):
        waiting = Waiting(flood, 50)
        share = allot(waiting, high_batches=counted, slice_events=10, limits=LIMITS)
        counted = count_high_batches(counted, waiting, share)
        taken += share.normal
    assert taken == (batches // (LIMITS.high_batches_max + 1)) * 12
