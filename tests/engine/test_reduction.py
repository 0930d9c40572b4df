from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from examples.device_twins.machine import DeviceReported, DeviceRetired, DeviceTwins, Event, Twins
from processor.engine.inputs import Accepted, Cause, Decoded, Invalid, Undecodable
from processor.engine.reduction import Reduction, reduce_batch

MACHINE = DeviceTwins()
CAUSE = Cause("t", 0, 0, "id", "type")

EVENTS = st.lists(
    st.one_of(
        st.builds(DeviceReported, at_ms=st.just(1), device=st.sampled_from("abcdefgh"), reading=st.integers(0, 2)),
        st.builds(DeviceRetired, at_ms=st.just(1), device=st.sampled_from("abcdefgh")),
    ),
    max_size=60,
)


class Broken(DeviceTwins):
    """Has a bug on one device."""

    def apply(self, state: Twins, event: Event) -> object:  # type: ignore[override]
        if event.device == "h":
            raise ZeroDivisionError("by h")
        return super().apply(state, event)


def accepted(events: Iterable[Event]) -> list[Decoded]:
    return [Accepted(CAUSE, event) for event in events]


def fold(events: Sequence[Event], entities_max: int) -> list[Reduction]:
    state, rest, done = MACHINE.empty(), accepted(events), []
    while rest:
        reduction = reduce_batch(MACHINE, state, rest, entities_max=entities_max)
        done.append(reduction)
        state, rest = reduction.after, rest[len(reduction.outcomes) :]
    return done


@given(events=EVENTS, entities_max=st.integers(1, 9))
def test_any_cut_ends_in_the_same_state_and_the_same_outcomes(events: list[Event], entities_max: int) -> None:
    whole, parts = fold(events, 10**6), fold(events, entities_max)
    assert [o for part in whole for o in part.outcomes] == [o for part in parts for o in part.outcomes]
    if events:
        assert whole[-1].after == parts[-1].after


@given(events=EVENTS, entities_max=st.integers(1, 9))
def test_no_cut_exceeds_the_entities_of_one_commit(events: list[Event], entities_max: int) -> None:
    for part in fold(events, entities_max):
        assert len(part.changes) <= entities_max
        assert len(part.outcomes) >= 1


def test_a_cut_takes_as_many_events_as_fit() -> None:
    events = [DeviceReported(at_ms=1, device=f"d{n}", reading=1) for n in range(50)]
    assert [len(part.outcomes) for part in fold(events, 20)] == [20, 20, 10]


def test_one_event_above_the_limit_is_reduced_alone() -> None:
    events = [DeviceReported(at_ms=1, device="a", reading=1), DeviceReported(at_ms=1, device="b", reading=1)]
    assert [len(part.outcomes) for part in fold(events, 0)] == [1, 1]


def test_outcomes_tell_applied_unchanged_rejected_and_dead_lettered_apart() -> None:
    events: list[Decoded] = [
        Accepted(CAUSE, DeviceReported(at_ms=1, device="a", reading=1)),
        Accepted(CAUSE, DeviceReported(at_ms=2, device="a", reading=1)),
        Accepted(CAUSE, DeviceRetired(at_ms=3, device="b")),
        Invalid(CAUSE, "no name"),
        Undecodable(CAUSE, "undecodable", "bytes"),
    ]
    reduction = reduce_batch(MACHINE, MACHINE.empty(), events, entities_max=10)
    assert reduction.outcomes == ("applied", "unchanged", "rejected", "rejected", "dead_lettered")
    assert [(index, item.code) for index, item in reduction.rejections] == [(2, "unknown_target"), (3, "invalid_event")]
    assert [index for index, _ in reduction.dead] == [4]
    assert not reduction.no_op


def test_a_bug_of_the_reducer_costs_its_event_and_no_other() -> None:
    events = [DeviceReported(at_ms=1, device=name, reading=1) for name in "ahb"]
    reduction = reduce_batch(Broken(), MACHINE.empty(), accepted(events), entities_max=10)
    assert reduction.outcomes == ("applied", "dead_lettered", "applied")
    assert [(item.code, item.exception) for _, item in reduction.dead] == [("reducer_error", "ZeroDivisionError")]


def test_a_batch_that_changes_nothing_is_silent() -> None:
    event = DeviceReported(at_ms=1, device="a", reading=1)
    state = reduce_batch(MACHINE, MACHINE.empty(), accepted([event]), entities_max=10).after
    again = reduce_batch(MACHINE, state, accepted([event]), entities_max=10)
    assert again.no_op
    assert again.after == state
