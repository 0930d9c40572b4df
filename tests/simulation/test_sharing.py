"""Shares become fair with no more moves than it takes, and nothing stays without an owner, whoever comes and goes."""

from collections.abc import Callable
from random import Random

import pytest

from processor.engine.assignment import FORSAKEN_TTLS
from processor.engine.rebalancer import UNWANTED_TTLS
from processor.engine.stall import PATIENCE_MAX_TIMEOUTS
from tests.simulation.sharing import TTL_MS, Player, Table

SEEDS = [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 30))]
STRIKES = 25
SETTLE_S = 25.0
CALM_S = 30.0
STALL_TIMEOUT_S = 20.0
LONG_S = 1200.0
QUICK_MS = 1200.0
"""From the end of a lease, or a hand-over, to the next owner: two looks and a campaign."""
SLOW_MS = 2 * TTL_MS + 2000.0
"""The same where those who should take a shard die before they do."""


def table(seed: int) -> Table:
    """Return a table at which some processes have shared some shards for a while."""
    chance = Random(f"{seed}/sizes")
    made = Table(seed, shards=chance.randint(1, 16))
    for _ in range(chance.randint(1, 6)):
        made.join()
    settle(made)
    return made


def settle(table: Table) -> None:
    """Let time pass, and see that everything is owned, in fair shares."""
    table.run(SETTLE_S)
    owned = table.owned()
    assert owned.keys() == table.players.keys()
    floor, ceiling = table.shards // len(owned), -(-table.shards // len(owned))
    assert sum(map(len, owned.values())) == table.shards, owned
    assert {name: shards for name, shards in owned.items() if not floor <= len(shards) <= ceiling} == {}


def necessary(table: Table, before: dict[str, set[int]]) -> int:
    """Return how many shards must change their owner, for the processes that are there now and what they owned."""
    live = len(table.players)
    floor, ceiling = table.shards // live, -(-table.shards // live)
    counts = [len(before.get(name, ())) for name in table.players]
    homeless = table.shards - sum(counts)
    surplus = sum(max(0, count - ceiling) for count in counts)
    deficit = sum(max(0, floor - count) for count in counts)
    return homeless + max(surplus, deficit - homeless)


def somebody(table: Table) -> Player:
    return table.chance.choice(list(table.players.values()))


def join(table: Table) -> None:
    table.join()


def kill(table: Table) -> None:
    somebody(table).kill()


def leave(table: Table) -> None:
    somebody(table).leave()


def freeze(table: Table) -> None:
    somebody(table).freeze(table.chance.uniform(0.1, 3.0) * TTL_MS)


@pytest.mark.parametrize("strike", [join, kill, leave])
@pytest.mark.parametrize("seed", SEEDS)
def test_shares_are_fair_again_after_as_many_moves_as_it_takes_and_stay(
    strike: Callable[[Table], None], seed: int
) -> None:
    world = table(seed)
    world.join()
    settle(world)
    before = world.owned()
    world.forget()
    strike(world)
    settle(world)
    assert world.moves == necessary(world, before)
    assert max(world.vacant_ms.values(), default=0.0) < QUICK_MS
    world.forget()
    world.run(CALM_S)
    assert world.moves == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_who_was_frozen_for_long_comes_back_for_its_share(seed: int) -> None:
    world = table(seed)
    world.join()
    settle(world)
    world.forget()
    frozen = somebody(world)
    lost = world.owned()[frozen.name]
    frozen.freeze(2 * TTL_MS)
    world.run(2 * TTL_MS / 1000 - 1)
    assert world.owned()[frozen.name] == set()
    assert world.moves == len(lost)
    before = world.owned()
    settle(world)
    assert world.moves - len(lost) == necessary(world, before)
    assert max(world.vacant_ms.values(), default=0.0) < QUICK_MS


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_stays_without_an_owner_however_many_come_and_go(seed: int) -> None:
    world = table(seed)
    world.forget()
    for _ in range(STRIKES):
        strike = world.chance.choice([join, kill, leave, freeze])
        if strike is join or len(world.players) > 1:
            strike(world)
        world.run(world.chance.uniform(0.0, 2.0) * TTL_MS / 1000)
    settle(world)
    assert world.moves > 0
    assert max(world.vacant_ms.values()) < SLOW_MS
    world.forget()
    world.run(CALM_S)
    assert world.moves == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_what_one_process_refuses_others_run_and_it_does_not_go_to_and_fro(seed: int) -> None:
    world = table(seed)
    refused = frozenset(shard for shard in range(world.shards) if world.chance.random() < 0.5)
    world.join(excluded=refused)
    world.run(SETTLE_S)
    somebody(world).kill()
    world.join()
    world.run(6 * SETTLE_S)
    assert sum(map(len, world.owned().values())) == world.shards
    world.forget()
    world.run(CALM_S)
    assert world.moves == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shard_that_one_process_does_not_get_on_with_moves_and_stays(seed: int) -> None:
    made = Table(seed, shards=made_of(seed))
    for _ in range(2 + seed % 3):
        made.join()
    settle(made)
    name, shards = next((name, owned) for name, owned in made.owned().items() if owned)
    shard = min(shards)
    made.forget()
    made.players[name].stall(shard, STALL_TIMEOUT_S)
    made.run(STALL_TIMEOUT_S + SETTLE_S)
    assert shard not in made.owned()[name]
    assert made.moves <= 2, "that one, and perhaps another that makes the shares fair again"
    assert made.vacant_ms[shard] < FORSAKEN_TTLS * TTL_MS + QUICK_MS
    made.forget()
    made.run(CALM_S)
    assert made.moves == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shard_that_no_process_gets_on_with_wanders_ever_more_slowly(seed: int) -> None:
    made = Table(seed, shards=made_of(seed))
    players = [made.join() for _ in range(2 + seed % 3)]
    settle(made)
    for player in players:
        player.stall(0, STALL_TIMEOUT_S)
    made.forget()
    made.run(LONG_S)
    early = made.moves
    made.forget()
    made.run(LONG_S)
    patience_s = PATIENCE_MAX_TIMEOUTS * STALL_TIMEOUT_S
    assert 0 < made.moves <= 2 * (LONG_S / patience_s + 1), "each time another may move to make the shares fair"
    assert made.moves < early
    assert max(made.vacant_ms.values()) < UNWANTED_TTLS * TTL_MS + QUICK_MS


def made_of(seed: int) -> int:
    return 1 + seed % 5
