from collections.abc import Callable

import msgspec
import pytest

from processor.engine.announcements import OutputRecord
from processor.engine.errors import OwnershipLost, ShardRefused
from processor.engine.health import ShardStatus
from processor.engine.operator.reannouncing import announce_again, announce_skip, facts_of, plan_announcing
from processor.engine.parts import Parts
from processor.engine.shard import ShardRunner
from tests.engine.test_shard import report
from tests.engine.world import TOPICS, World


def world_of(*emptied: str, events: int = 3) -> World:
    """One commit is published and not trimmed; then retention takes partitions of the output, and it is refused."""
    world = World()
    report(world, events)
    world.run()
    for role in emptied:
        world.broker.trim(TOPICS[role], 0, world.broker.extent(TOPICS[role], 0).high)
    world.run()
    assert "nothing tells what was published" in world.refusals[-1]
    return world


def test_what_is_in_doubt_is_told_before_anything_is_done() -> None:
    world = world_of("commits")
    before = world.stored()
    (commit,) = facts_of(plan_announcing(world.parts("tool")))["commits"]
    assert (commit["seq"], commit["announcements"], commit["in_doubt_in"]) == (1, 3, ["commits"])
    assert world.stored() == before
    assert world.commits() == []


@pytest.mark.parametrize(
    ("emptied", "changes", "commits"),
    [(("commits",), [0, 1, 2], [1]), (("changes",), [0, 1, 2], []), (("changes", "commits"), [0, 1, 2], [1])],
)
def test_again_publishes_what_no_partition_tells_of(
    emptied: tuple[str, ...], changes: list[int], commits: list[int]
) -> None:
    world = world_of(*emptied)
    log = world.commits()
    announce_again(world.parts("tool"), by="someone")
    report(world, 1, start=3)
    world.run()
    assert len(world.refusals) == 1
    assert world.numbers() == [*changes, 3]
    assert [commit.seq for commit in world.commits()] == [*(commit.seq for commit in log), *commits, 2]


@pytest.mark.parametrize("emptied", [("commits",), ("changes",), ("changes", "commits")])
def test_skip_takes_it_for_published(emptied: tuple[str, ...]) -> None:
    world = world_of(*emptied)
    numbers, log = world.numbers(), world.commits()
    announce_skip(world.parts("tool"), by="someone")
    report(world, 1, start=3)
    world.run()
    assert len(world.refusals) == 1
    assert world.numbers() == [*numbers, 3]
    assert [commit.seq for commit in world.commits()] == [*(commit.seq for commit in log), 2]


@pytest.mark.parametrize("decide", [announce_again, announce_skip])
def test_the_decision_stands_in_the_audit_log(decide: Callable[..., object]) -> None:
    world = world_of("commits")
    decide(world.parts("tool"), by="someone")
    (entry,) = world.cluster.read(0, lambda keys, _: keys.audit)
    assert (entry.action, entry.by) == (decide.__name__.replace("_", "-"), "someone")
    assert [commit["seq"] for commit in entry.facts["commits"]] == [1]


@pytest.mark.parametrize("decide", [announce_again, announce_skip])
def test_nothing_is_decided_about_an_owned_shard(decide: Callable[..., object]) -> None:
    world = world_of("commits")
    assert world.parts("owner").ownership.campaign() is not None
    with pytest.raises(OwnershipLost, match="shard 0 is owned"):
        decide(world.parts("tool"), by="someone")
    assert world.commits() == []


@pytest.mark.parametrize("decide", [announce_again, announce_skip])
def test_without_a_doubt_there_is_nothing_to_decide(decide: Callable[..., object]) -> None:
    world = World()
    report(world, 3)
    world.run()
    with pytest.raises(ShardRefused, match="nothing to decide"):
        decide(world.parts("tool"), by="someone")
    assert plan_announcing(world.parts("tool")).doubts == ()


def test_a_half_committed_transaction_into_an_emptied_partition_loses_no_announcement() -> None:
    """Its commit-log record is there; the changes partition, emptied before, has got nothing."""
    world = World()
    report(world, 1)
    world.run()
    deadline_s = world.clock.seconds + 5
    ShardRunner(world.parts(), status=ShardStatus(0), stopping=lambda: world.clock.seconds > deadline_s).run()
    world.broker.trim("changes", 0, world.broker.extent("changes", 0).high)
    report(world, 1, start=1)
    world.run(with_sink_that_loses(world.parts(), "changes"))
    assert (world.numbers(), [commit.seq for commit in world.commits()]) == ([], [1, 2])
    world.run()
    assert "commit 2 waits" in world.refusals[-1]
    announce_again(world.parts("tool"), by="someone")
    world.run()
    assert world.numbers() == [1]


def with_sink_that_loses(parts: Parts, role: str) -> Parts:
    """Return parts whose transactions are committed without the records of one topic."""

    class Lossy:
        def __getattr__(self, name: str) -> object:
            return getattr(parts.sink, name)

        def publish(self, records: list[OutputRecord]) -> None:
            parts.sink.publish([record for record in records if record.role != role])

    return msgspec.structs.replace(parts, sink=Lossy())
