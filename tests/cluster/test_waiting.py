"""Who waits has a turn when capacity may have grown, in order; who has no chance is passed over."""

from processor.cluster.headroom import Demand, upper_bound
from tests.cluster.world import World

FREE: Demand = ("", (), 1)


def waiting(*sizes: int) -> World:
    """Return a world in which a full server is all there is and models of these sizes wait, in this order."""
    world = World()
    world.connect(memory=100)
    world.load("ant", memory=100)
    for number, size in enumerate(sizes):
        world.load(f"late{number}", memory=size)
    return world


def placed(world: World, count: int) -> list[bool]:
    return [world.latest(f"late{number}")["status"] == "Progressing" for number in range(count)]


def test_who_waits_longest_comes_first() -> None:
    world = waiting(60, 60, 40)
    world.report("LoadFailed", "ant")
    assert placed(world, 3) == [True, False, True]


def test_the_smaller_one_is_tried_although_a_larger_one_of_the_same_demand_has_no_chance() -> None:
    world = waiting(500, 400, 100)
    world.report("LoadFailed", "ant")
    assert placed(world, 3) == [False, False, True]


def test_that_none_has_a_chance_is_known_from_the_smallest() -> None:
    world = waiting(500, 400, 300)
    world.report("LoadFailed", "ant")
    assert placed(world, 3) == [False, False, False]
    assert upper_bound(world.state.headroom, FREE) < 300


def test_one_that_shrinks_where_it_is_makes_room_for_one_that_was_passed_over() -> None:
    world = World()
    for replica in (0, 1):
        world.connect(replica=replica, memory=100)
    world.load("ant", memory=80, replicas=2)
    world.declare(expected_replicas=0)
    world.load("ant", memory=80, replicas=1)
    world.load("bee", memory=90)
    assert [world.latest(name)["status"] for name in ("ant", "bee")] == ["ScheduleFailed", "ScheduleFailed"]
    world.declare(expected_replicas=2)
    assert world.states("ant") == {"0": "LoadRequested", "1": "UnloadRequested"}
    assert world.states("bee") == {"1": "LoadRequested"}
