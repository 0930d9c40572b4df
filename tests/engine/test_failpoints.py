"""Where the engine passes its failpoints, and what is left when one of them ends a process with an exception."""

from collections import Counter

import pytest

from processor.engine.failpoints import Point
from tests.engine.world import World

EVENTS = 50
OF_A_BATCH: list[Point] = ["after_take", "after_decode", "after_reduce", "before_commit", "after_commit"]
OF_THE_ENGINE: list[Point] = [
    *OF_A_BATCH,
    "in_dead_letter",
    "before_group_offsets",
    "in_takeover",
    "in_tail_read",
    "in_shutdown",
]


class FallenError(Exception):
    """Nothing that the engine knows."""


class Fall:
    """Fails once, at the n-th passage of a place."""

    def __init__(self, point: Point, *, at: int) -> None:
        self._point = point
        self._left = at
        self.fell = False

    def __call__(self, point: Point) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                self.fell = True
                raise FallenError(point)


def reported(world: World, *, start: int = 0) -> None:
    for number in range(start, start + EVENTS):
        world.submit("DeviceReported", device=f"d{number}", reading=number)


def test_a_batch_passes_each_place_once_however_many_events_it_has() -> None:
    world = World(batch_events_max=2 * EVENTS)
    reported(world)
    passed: list[Point] = []
    world.run(world.parts(failpoint=passed.append))
    assert passed[:2] == ["in_tail_read", "in_takeover"]
    assert [point for point in passed if point in OF_A_BATCH] == OF_A_BATCH
    assert passed[-1] == "in_shutdown"
    assert world.devices() == {f"d{number}": number for number in range(EVENTS)}


def test_a_record_that_is_put_aside_is_passed_with_its_batch() -> None:
    world = World(batch_events_max=EVENTS)
    reported(world)
    world.submit_raw(b"no JSON")
    world.submit_raw(b"nor this")
    passed: list[Point] = []
    world.run(world.parts(failpoint=passed.append))
    assert Counter(passed)["in_dead_letter"] == 1


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("speculate", [False, True])
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("point", OF_THE_ENGINE)
def test_an_exception_that_nobody_knows_ends_the_run_and_the_next_one_finds_everything(
    point: Point,
    at: int,
    speculate: bool,  # noqa: FBT001 - parametrised
    background: bool,  # noqa: FBT001 - as above
) -> None:
    world = World(batch_events_max=10, speculate=speculate, background=background)
    world.submit_raw(b"no JSON")
    reported(world)
    world.submit_raw(b"no JSON")
    fall = Fall(point, at=at)
    for _ in range(at):  # some places are passed once a run
        if not fall.fell:
            _run(world, fall)
    assert fall.fell
    reported(world, start=EVENTS)
    world.submit_raw(b"no JSON")
    world.run(world.parts("two"))
    assert world.devices() == {f"d{number}": number for number in range(2 * EVENTS)}
    assert world.numbers() == list(range(2 * EVENTS))
    assert len(world.output("dead-letters")) == 3
    commits = world.commits()
    assert [commit.seq for commit in commits] == list(range(1, len(commits) + 1))


def _run(world: World, fall: Fall) -> None:
    try:
        world.run(world.parts(failpoint=fall))
    except FallenError:
        assert fall.fell
