from hypothesis import given
from hypothesis import strategies as st

from processor.engine.intake import Allotment, Waiting, allot, count_high_batches
from processor.engine.limits import Limits

LIMITS = Limits(batch_events_max=100, normal_share=0.125, high_batches_max=3, normal_wait_max_ms=1000)


def test_high_records_fill_the_batch_first() -> None:
    assert allot(Waiting(500, 500), high_batches=0, slice_events=50, limits=LIMITS) == Allotment(100, 0)


def test_normal_records_take_a_slice_of_the_room_that_high_ones_leave() -> None:
    assert allot(Waiting(10, 500), high_batches=0, slice_events=50, limits=LIMITS) == Allotment(10, 50)


def test_normal_records_never_take_more_than_the_room() -> None:
    assert allot(Waiting(80, 500), high_batches=0, slice_events=50, limits=LIMITS) == Allotment(80, 20)


def test_the_guard_reserves_a_share_after_too_many_high_batches() -> None:
    assert allot(Waiting(500, 500), high_batches=3, slice_events=50, limits=LIMITS) == Allotment(88, 12, guard=True)


def test_the_guard_reserves_a_share_when_normal_waited_too_long() -> None:
    waiting = Waiting(500, 500, normal_wait_ms=1000)
    assert allot(waiting, high_batches=0, slice_events=50, limits=LIMITS) == Allotment(88, 12, guard=True)


def test_the_guard_does_not_count_where_it_takes_nothing_from_high() -> None:
    assert not allot(Waiting(10, 5), high_batches=3, slice_events=50, limits=LIMITS).guard


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
