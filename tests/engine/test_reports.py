from processor.engine.announcements import EventRejection, Outcome
from processor.engine.inputs import Accepted, Cause, Record
from processor.engine.intake import Batch
from processor.engine.reduction import Reduction
from processor.engine.reports import EventReport, Events, outcomes_of, tally


def reduced(
    first: int, outcomes: tuple[Outcome, ...], *, records: int, rejected: int | None = None
) -> tuple[Batch, Reduction]:
    offsets = range(first, first + records)
    causes = [Cause("in", 0, offset, f"in-0-{offset}", "Happened") for offset in offsets]
    batch = Batch(
        records=tuple(Record("in", 0, offset, 1000 + offset, None, b"") for offset in offsets),
        decoded=tuple(Accepted(cause, None) for cause in causes),
    )
    rejections = () if rejected is None else ((rejected, EventRejection(causes[rejected], "stale", "too old")),)
    return batch, Reduction(outcomes, rejections, (), (), None)


NO_OP = reduced(0, ("unchanged",), records=1)
CUT = reduced(1, ("applied", "rejected"), records=4, rejected=1)


def test_events_are_those_of_all_batches_in_order_with_their_reasons() -> None:
    events = Events((NO_OP, CUT))

    assert [(event.cause.offset, event.outcome, event.at_ms) for event in events] == [
        (0, "unchanged", 1000),
        (1, "applied", 1001),
        (2, "rejected", 1002),
    ]
    assert (events[2].code, events[2].message) == ("stale", "too old")
    assert list(events[:1]) == [EventReport(NO_OP[0].decoded[0].cause, "unchanged", 1000)]


def test_events_are_counted_and_judged_without_being_made() -> None:
    events = Events((NO_OP, CUT))

    assert len(events) == 3
    assert events.outcomes() == ("unchanged", "applied", "rejected")
    assert not Events()


def test_a_tally_is_the_same_from_reports_and_without_them() -> None:
    events = Events((NO_OP, CUT))

    counted = tally(events)

    assert counted == tally(tuple(events))
    assert counted.outcomes == {("in", "Happened", outcome): 1 for outcome in ("unchanged", "applied", "rejected")}
    assert counted.times == {"in": {1000: 1, 1001: 1, 1002: 1}}
    assert outcomes_of(events) == outcomes_of(tuple(events))
