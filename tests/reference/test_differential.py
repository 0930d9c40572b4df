import pytest

from tests.cluster.scenarios import events_of, line_of
from tests.reference.comparison import Way, differences, least_difference
from tests.reference.simulation import trace
from tests.reference.world import World

SEEDS = range(300)
EVENTS = 60
SCENARIO_SEEDS = range(30)
SCENARIO_EVENTS = 150


@pytest.mark.parametrize("first", SEEDS[::30])
def test_the_state_generator_equals_the_reference_on_random_runs(first: int) -> None:
    for seed in range(first, first + 30):
        world = World(seed)
        found = least_difference(world.lines, world.live(EVENTS), seed)
        assert not found, f"seed {seed} {found}"


@pytest.mark.parametrize("seed", SCENARIO_SEEDS)
def test_the_state_generator_equals_the_reference_on_long_runs(seed: int) -> None:
    """Other events than those of the reference's own world: few names, so they collide, and states go deep."""
    lines = [line_of(event) for event in events_of(seed, SCENARIO_EVENTS)]
    assert not least_difference(lines, trace(lines), seed)


def test_a_difference_would_be_seen() -> None:
    line = '{"type": "ServerDeclared", "at_ms": 1000, "data": {"server": "s1"}}'
    other = line.replace("s1", "s2")
    assert [path for path, _, _ in differences([line], Way(), trace([other]))] == [
        "/changes/00000/0/after/name",
        "/changes/00000/0/name",
        "/state/servers/s1",
        "/state/servers/s2",
    ]
