"""Records that end the process, and the records around them."""

from collections.abc import Callable

import msgspec
import pytest

from examples.device_twins.machine import DeviceTwins, Event, Rejected, Twins
from processor.engine.values import Attempts
from tests.engine.test_shard import Interrupting, edit, edited, report
from tests.engine.world import World

KILLED_AT_MOST = 10


class Poisoned(DeviceTwins):
    """Ends the process on one device."""

    def apply(self, state: Twins, event: Event) -> Twins | Rejected:
        if event.device == "d7":
            raise KeyboardInterrupt
        return super().apply(state, event)


def killed(world: World, name: str) -> bool:
    """Run a processor that dies of device d7; return whether it did."""
    parts = world.parts(name, machine=Poisoned())
    try:
        world.run(parts)
    except KeyboardInterrupt:
        world.cluster.expire(parts.ownership.lease)  # type: ignore[attr-defined]
        return True
    return False


def kills_until_put_aside(world: World, between: Callable[[int], None] = lambda _: None) -> int:
    """Return how many processors died one after another before one lived; `between` gets the count after each death."""
    kills = 0
    while killed(world, f"run{kills}"):
        kills += 1
        assert kills < KILLED_AT_MOST
        between(kills)
    return kills


def codes(world: World) -> list[bytes | None]:
    return [dict(letter.headers)["dead-letter-code"] for letter in world.output("dead-letters")]


@pytest.mark.parametrize("before", [0, 2], ids=["right after a clean hand-over", "behind what changes nothing"])
def test_a_record_that_ends_the_process_is_found(before: int) -> None:
    world = World(batch_events_max=10)
    report(world, 2)
    world.run()
    report(world, before)
    report(world, 1, start=7)
    assert kills_until_put_aside(world) > 0
    assert codes(world) == [b"process_crash"]


def test_a_record_that_ends_the_process_is_found_however_much_arrives_on_the_other_lane() -> None:
    world = World(batch_events_max=10)
    report(world, 1, start=7)
    kills = kills_until_put_aside(
        world, lambda kills: world.submit("DeviceReported", high=True, device="d1", reading=kills)
    )
    assert codes(world) == [b"process_crash"]
    assert world.devices() == {"d1": kills}


def test_the_count_of_a_record_is_kept_while_one_of_the_other_lane_ends_the_process() -> None:
    world = World(batch_events_max=10, crash_attempts_max=3)
    report(world, 1)
    world.run()
    report(world, 1, start=7)
    assert killed(world, "first")
    world.submit("DeviceReported", high=True, device="d7", reading=1)
    kills = kills_until_put_aside(world)
    assert codes(world) == [b"process_crash"] * 2
    assert 1 + kills == 2 * (world.limits.crash_attempts_max - 1)


def test_a_record_that_is_taken_again_after_a_conflict_was_not_tried_more_often() -> None:
    world = World(batch_events_max=10, crash_attempts_max=2)
    report(world, 1)
    world.run()
    report(world, 1, start=1)
    store = Interrupting(world, lambda: edit(world, edited(99), with_head=True), at=1)
    world.run(world.parts("second", store=store))
    assert codes(world) == []
    assert world.devices() == {"d0": 99, "d1": 1}


def test_a_record_that_ends_the_process_is_put_aside_after_its_attempts() -> None:
    world = World(batch_events_max=10)
    report(world, 12)
    assert kills_until_put_aside(world) == 1 + 2, "one crash unprepared, two counted; the next run puts it aside"
    assert codes(world) == [b"process_crash"]
    assert len(world.devices()) == 11


def test_after_a_clean_hand_over_one_record_is_tried_alone_and_its_commit_takes_the_mark_away() -> None:
    world = World()
    report(world, 3)
    world.run()
    assert world.stored().attempts == Attempts(clean=True)
    report(world, 3, start=3)
    parts = world.parts("two")
    seen: list[Attempts | None] = []
    store = Interrupting(world, lambda: seen.append(world.stored().attempts))
    world.run(msgspec.structs.replace(parts, store=store))
    assert store.sends == 2
    assert seen == [None]
    assert [commit.changed for commit in world.commits()] == [3, 1, 2]
