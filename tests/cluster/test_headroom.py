"""What placement remembers: upper bounds, by server, by block of servers, of all."""

from typing import Any

import pytest

from processor.cluster.headroom import (
    ANY,
    BLOCK_SERVERS,
    DEMANDS_MAX,
    EMPTY_CACHE,
    Demand,
    HeadroomCache,
    upper_bound,
    with_block_bound,
    with_bound,
    without_server,
)
from processor.cluster.indexes import required
from processor.cluster.placement import filter_code
from processor.cluster.rejection import Rejected
from processor.cluster.state import State
from tests.cluster.scenarios import told
from tests.cluster.world import World

FREE: Demand = ("", (), 1)
NAMES = tuple(f"s{number:02}" for number in range(BLOCK_SERVERS + 4))


def full(bound: int = 5) -> HeadroomCache:
    headroom = EMPTY_CACHE
    for place, name in enumerate(NAMES):
        headroom = with_bound(headroom, FREE, name, bound + place)
    for start in range(0, len(NAMES), BLOCK_SERVERS):
        headroom = with_block_bound(headroom, FREE, start, NAMES)
    return headroom


def test_the_bound_of_all_is_known_when_that_of_each_block_is() -> None:
    assert upper_bound(EMPTY_CACHE, FREE) == ANY
    assert upper_bound(with_bound(EMPTY_CACHE, FREE, NAMES[0], 5), FREE) == ANY
    assert dict(full().of(FREE).blocks) == {0: 5 + BLOCK_SERVERS - 1, BLOCK_SERVERS: 5 + len(NAMES) - 1}
    assert upper_bound(full(), FREE) == 5 + len(NAMES) - 1


def test_a_block_of_which_one_server_is_not_known_has_no_bound() -> None:
    headroom = with_block_bound(with_bound(EMPTY_CACHE, FREE, NAMES[0], 5), FREE, 0, NAMES)
    assert dict(headroom.of(FREE).blocks) == {}


def test_a_server_that_is_forgotten_opens_its_block_for_every_demand() -> None:
    other: Demand = ("", ("gpu",), 2)
    headroom = without_server(with_bound(full(), other, NAMES[3], 0), NAMES[3], NAMES)
    assert all(NAMES[3] not in room.servers and room.most == ANY for room in headroom.demands.values())
    assert dict(headroom.of(FREE).blocks) == {BLOCK_SERVERS: 5 + len(NAMES) - 1}
    assert without_server(headroom, NAMES[3], NAMES) is headroom


def test_the_lowest_bound_of_a_server_is_that_of_any_demand() -> None:
    headroom = with_bound(with_bound(EMPTY_CACHE, FREE, "s00", 7), ("", (), 2), "s00", 3)
    assert dict(headroom.lowest) == {"s00": 3}
    assert dict(without_server(headroom, "s00", NAMES).lowest) == {}


def test_a_pinned_demand_is_bound_by_its_server_alone() -> None:
    pinned: Demand = ("s03", (), 1)
    assert upper_bound(with_bound(EMPTY_CACHE, pinned, "s03", 7), pinned) == 7


def test_the_memory_has_a_limit() -> None:
    headroom = EMPTY_CACHE
    for count in range(DEMANDS_MAX + 1):
        headroom = with_bound(headroom, ("", (), count), "s00", 1)
    assert list(headroom.demands) == [("", (), DEMANDS_MAX)]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_every_bound_holds(seed: int) -> None:
    known = 0
    for _, _, outcome in told(seed, 150):
        if not isinstance(outcome, Rejected):
            known += check_bounds(outcome)
    assert known


def check_bounds(state: State) -> int:
    for demand, room in state.headroom.demands.items():
        names = state.indexes.server_names
        bounds = {name: fitting(state, name, demand) for name in names}
        assert all(bounds[name] <= bound for name, bound in room.servers.items())
        for start, bound in room.blocks.items():
            assert max(bounds[name] for name in names[start : start + BLOCK_SERVERS]) <= bound
        assert demand[0] or max(bounds.values(), default=0) <= room.most
    return len(state.headroom.demands)


def fitting(state: State, name: str, demand: Demand) -> int:
    """Return how many bytes a version of this demand may need at most to find its replicas on the server."""
    pinned, requirements, count = demand
    server: Any = state.servers[name]
    if filter_code(server, pinned):
        return -1
    usage = state.indexes.usage.get(name, {})
    free = sorted(
        max(0, replica.available_memory - (usage[replica.index].reserved if replica.index in usage else 0))
        for replica in server.replicas
        if not replica.draining and set(requirements) <= set(replica.capabilities)
    )
    return free[-count] if len(free) >= count else -1


def test_a_model_is_found_a_place_behind_many_full_servers() -> None:
    world = World()
    for name in NAMES:
        world.connect(name, memory=100)
    for number in range(len(NAMES)):
        world.load(f"m{number:02}", memory=80)
    assert world.latest(f"m{len(NAMES) - 1:02}")["server"] == NAMES[-1]
    world.load("late", memory=80)
    assert world.latest("late")["status"] == "ScheduleFailed"
    assert world.state.headroom.of(FREE).most == 20 < required(world.state.models["late"].versions[-1])
    world.report("LoadFailed", "m05")
    assert world.latest("late")["server"] == NAMES[5]
