"""Control and aborted records behind the last event: retention may remove them, and nothing is lost by it."""

import pytest

from processor.engine.errors import ShardRefused
from processor.engine.housekeeping import scan_to_end
from processor.engine.inputs import Record
from processor.engine.positions import EmptyStretch, checked_positions, reached, scanned_after
from processor.engine.values import Head
from processor.memory.broker import NewRecord
from tests.engine.test_positions import HEAD, facts
from tests.engine.world import ManualSource, World

NORMAL = ("normal", 0)


def scanned_head(end: int) -> Head:
    return Head(**{name: getattr(HEAD, name) for name in HEAD.__struct_fields__} | {"scanned": {"normal": {0: end}}})


def test_what_was_scanned_may_be_removed_and_no_more() -> None:
    head = scanned_head(9)
    assert checked_positions(head, facts(normal=(9, 9))) == HEAD.positions, "ranges go on at the position"
    assert reached(head) == {"high": {0: 5}, "normal": {0: 9}}
    with pytest.raises(ShardRefused, match=r"offset is 9, the oldest kept is 12: offsets 9 to 11 are gone; whether"):
        checked_positions(head, facts(normal=(12, 12)))


def test_an_end_below_what_was_scanned_is_refused_for_what_comes_there_would_be_passed_by() -> None:
    with pytest.raises(ShardRefused, match="next offset is 9, the end is 8: 1 are missing"):
        checked_positions(scanned_head(9), facts(normal=(0, 8)))


@pytest.mark.parametrize(
    ("position", "stretch", "expected"),
    [
        (7, None, 9),
        (7, EmptyStretch(7, 12), 12),
        (7, EmptyStretch(9, 12), 12),
        (7, EmptyStretch(10, 12), 9),
        (7, EmptyStretch(7, 8), 9),
        (11, None, None),
        (11, EmptyStretch(11, 12), 12),
        (11, EmptyStretch(12, 13), None),
        (8, None, None),
        (0, EmptyStretch(7, 12), None),
    ],
)
def test_knowledge_is_kept_while_the_position_stays_and_extended_by_what_joins_it(
    position: int, stretch: EmptyStretch | None, expected: int | None
) -> None:
    stretches = {} if stretch is None else {NORMAL: stretch}
    found = scanned_after(scanned_head(9), {"high": {0: 5}, "normal": {0: position}}, stretches)
    assert found == ({} if expected is None else {"normal": {0: expected}})


def report(world: World, *readings: int, commit: bool = True) -> None:
    """Report readings in a transaction."""
    epoch = world.broker.register("producer")
    records = [
        NewRecord("normal", 0, None, b'["DeviceReported", {"device": "one", "reading": %d}]' % n) for n in readings
    ]
    world.broker.write("producer", epoch, records)
    (world.broker.commit if commit else world.broker.abort)("producer", epoch)


@pytest.mark.parametrize("aborted", [False, True])
def test_ends_of_transactions_that_retention_removed_are_no_hole(*, aborted: bool) -> None:
    world = World()
    report(world, 1)
    if aborted:
        report(world, 2, 3, commit=False)
    world.run()
    end = world.broker.extent("normal", 0).high
    assert (world.head.positions, world.head.scanned["normal"]) == (
        {"high": {0: 0}, "normal": {0: 1}},
        {0: end},
    )
    world.broker.trim("normal", 0, end)
    world.run()
    report(world, 4)
    world.run()
    assert world.refusals == []
    assert world.devices() == {"one": 4}
    ranges = [(span.start, span.end, span.count) for commit in world.commits() for span in commit.ranges]
    assert ranges == [(0, 1, 1), (1, end + 1, 1)], "contiguous, control records in between skipped"


@pytest.mark.parametrize("high", [False, True])
def test_ends_are_not_scanned_past_a_record(*, high: bool) -> None:
    world = World()
    source = world.parts().source
    source.assign({"high": {0: 0}, "normal": {0: 0}})
    assert scan_to_end(source, world.clock)
    world.submit("DeviceReported", high=high, device="one", reading=1)
    source.assign({"high": {0: 0}, "normal": {0: 0}})
    assert not scan_to_end(source, world.clock)


def test_a_record_behind_what_was_scanned_is_missed() -> None:
    world = World()
    report(world, 1)
    world.run()
    report(world, 2)
    world.broker.trim("normal", 0, world.broker.extent("normal", 0).high)
    world.run()
    (reason,) = world.refusals
    assert "normal[0]: next offset is 2, the oldest kept is 4: offsets 2 to 3 are gone; whether records" in reason


def test_an_owner_that_waits_writes_down_what_it_scanned_once() -> None:
    world = World()
    report(world, 1)
    revisions = {0}
    seen: list[Record] = []

    def watch() -> bool:
        revisions.add(world.cluster.read(0, lambda keys, _: keys.refusal()).head_revision)
        return world.clock.monotonic_s() > 1020

    source = ManualSource(world.clock, world.broker, {"high": "high", "normal": "normal"}, ["changes", "commits"])
    runner = world.runner(world.parts(source=source), stopping=watch)
    runner._once = False
    runner.run()
    assert seen == []
    assert world.head.scanned == {"normal": {0: 2}}
    assert len(revisions) <= 5, "first head, commit, trim with what was scanned"
