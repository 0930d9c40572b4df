import pytest

from tests.reference.comparison import Way, differences, least_difference
from tests.reference.simulation import trace
from tests.reference.world import World

SEEDS = range(300)
EVENTS = 60


@pytest.mark.parametrize("first", SEEDS[::30])
def test_the_state_generator_equals_the_reference_on_random_runs(first: int) -> None:
    for seed in range(first, first + 30):
        world = World(seed)
        found = least_difference(world.lines, world.live(EVENTS), seed)
        assert not found, f"seed {seed} {found}"


def test_a_difference_would_be_seen() -> None:
    line = '{"type": "ServerDeclared", "at_ms": 1000, "data": {"server": "s1"}}'
    other = line.replace("s1", "s2")
    assert [path for path, _, _ in differences([line], Way(), trace([other]))] == [
        "/changes/00000/0/after/name",
        "/changes/00000/0/name",
        "/state/servers/s1",
        "/state/servers/s2",
    ]
