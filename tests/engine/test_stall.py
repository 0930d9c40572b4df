"""An owner that does not get on leaves the shard to its peers, keeps it where it is alone, and never flaps."""

from collections.abc import Callable
from typing import Any

from processor.engine.health import ShardStatus
from processor.engine.shard import ShardRunner
from processor.engine.stall import PATIENCE_MAX_TIMEOUTS, Stall
from tests.engine.test_pauses import Silent, Unwritable
from tests.engine.test_shard import report
from tests.engine.world import World

TIMEOUT_S = 60.0
LONG_S = 3000.0


def given_up(world: World) -> list[str]:
    return [fields["reason"] for event, fields in world.log if event == "shard_left_to_peers"]


def live(
    world: World, *, peers: bool, until: Callable[[], bool] = lambda: False, once: bool = False, **parts: Any
) -> ShardRunner:
    """Let one process live for long, or until something; left to peers, it does not campaign again."""
    end_s, left = world.clock.seconds + LONG_S, []

    def leave() -> bool:
        left.append(world.clock.seconds)
        return peers

    def may_campaign() -> bool:
        world.clock.sleep(0.2)
        return not (peers and left)

    runner = ShardRunner(
        world.parts("one", **parts),
        status=ShardStatus(0),
        stopping=lambda: until() or world.clock.seconds > end_s,
        may_campaign=may_campaign,
        leave_to_peers=leave,
        once=once,
    )
    runner.run()
    return runner


def test_who_can_publish_nothing_leaves_the_shard_to_its_peers_and_they_publish_it() -> None:
    world = World(batch_events_max=5)
    report(world, 20)
    began_s = world.clock.seconds
    live(world, peers=True, until=lambda: bool(given_up(world)), sink=Unwritable(world, lambda: False))
    (reason,) = given_up(world)
    assert "nothing could be published" in reason
    assert "output: not authorised" in reason
    assert TIMEOUT_S <= world.clock.seconds - began_s < 2 * TIMEOUT_S
    assert world.cluster.members(1)[1] == {}, "nobody owns it"
    world.run(world.parts("two"))
    assert world.numbers() == list(range(20))


def test_who_can_commit_nothing_leaves_the_shard_to_its_peers_and_they_commit_it() -> None:
    world = World(batch_events_max=5)
    report(world, 20)
    live(world, peers=True, until=lambda: bool(given_up(world)), store=Silent(world, at=3, back=lambda: False))
    (reason,) = given_up(world)
    assert "no commit was possible" in reason
    assert "no answer" in reason
    world.run(world.parts("two"))
    assert world.numbers() == list(range(20))


def test_who_cannot_even_take_over_leaves_the_shard_to_its_peers() -> None:
    world = World()
    report(world, 3)
    live(world, peers=True, until=lambda: bool(given_up(world)), store=Silent(world, at=0, back=lambda: False))
    assert len(given_up(world)) == 1


def test_who_is_alone_keeps_the_shard_and_goes_on_when_it_can() -> None:
    world = World(batch_events_max=5)
    report(world, 20)
    writable_s = world.clock.seconds + 2 * TIMEOUT_S
    sink = Unwritable(world, lambda: world.clock.seconds > writable_s)
    live(world, peers=False, once=True, sink=sink)
    assert given_up(world) == []
    assert world.numbers() == list(range(20))
    assert len({commit.epoch for commit in world.commits()}) == 1, "it was never given up"


def test_who_has_nothing_to_do_is_not_stalled() -> None:
    world = World()
    report(world, 3)
    end_s = world.clock.seconds + 2 * TIMEOUT_S
    live(world, peers=True, until=lambda: world.clock.seconds > end_s)
    assert given_up(world) == []
    assert world.numbers() == list(range(3))


def test_a_pause_that_every_peer_would_make_is_no_stall() -> None:
    world = World(batch_events_max=5)
    report(world, 20)
    pressed_until_s = world.clock.seconds + 10 * TIMEOUT_S

    def pressure() -> str:
        return "etcd is full" if world.clock.seconds < pressed_until_s else ""

    live(world, peers=True, once=True, pressure=pressure)
    assert given_up(world) == []
    assert world.numbers() == list(range(20))


def test_a_cause_that_all_peers_share_makes_the_shard_wander_ever_more_slowly() -> None:
    stall, now_s, given_up_s = Stall(TIMEOUT_S), 0.0, []
    stall.begin(now_s)
    while now_s < 50 * TIMEOUT_S:
        now_s += 1
        stall.got_round(now_s)
        stall.saw_output(now_s, waiting=1, acknowledged_seq=4)
        if stall.reason(now_s):
            given_up_s.append(now_s)
            stall.gave_up()
            stall.begin(now_s)
    pauses = [after - before for before, after in zip([0.0, *given_up_s], given_up_s, strict=False)]
    longest = PATIENCE_MAX_TIMEOUTS * TIMEOUT_S
    assert pauses == [TIMEOUT_S, 2 * TIMEOUT_S, 4 * TIMEOUT_S, *[longest] * (len(pauses) - 3)]
    stall.saw_output(now_s, waiting=1, acknowledged_seq=5)
    stall.begin(now_s)
    stall.got_round(now_s + TIMEOUT_S)
    assert stall.reason(now_s + TIMEOUT_S), "patient as at first, once something was published"
