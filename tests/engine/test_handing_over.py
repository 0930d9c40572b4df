"""A shard is run when it may be, and given to another process when that is asked for."""

from collections.abc import Callable

from processor.engine.errors import StoreUnavailable
from processor.engine.health import ShardStatus
from processor.engine.parts import Parts
from processor.engine.shard import ShardRunner
from processor.engine.values import Attempts
from processor.memory.ownership import MemoryOwnership
from processor.memory.source import MemorySource
from tests.engine.test_shard import report
from tests.engine.world import World

END_AFTER_S = 60.0


def runner(
    world: World,
    parts: Parts,
    *,
    until: Callable[[], bool],
    may_campaign: Callable[[], bool] = lambda: True,
    hand_over_asked: Callable[[], bool] = lambda: False,
) -> ShardRunner:
    end_s = world.clock.seconds + END_AFTER_S
    return ShardRunner(
        parts,
        status=ShardStatus(0),
        stopping=lambda: until() or world.clock.seconds > end_s,
        may_campaign=may_campaign,
        hand_over_asked=hand_over_asked,
    )


def no_then_yes(times: int) -> Callable[[], bool]:
    given = iter(range(times))
    return lambda: next(given, None) is None


def yes_then_no() -> Callable[[], bool]:
    given = iter(range(1))
    return lambda: next(given, None) is not None


def waited(world: World, answer: Callable[[], bool]) -> Callable[[], bool]:
    """A no comes after a wait."""

    def asked() -> bool:
        if not (yes := answer()):
            world.clock.sleep(0.2)
        return yes

    return asked


def test_a_shard_is_left_alone_as_long_as_it_may_not_be_campaigned_for() -> None:
    world = World()
    report(world, 1)
    phases: list[str] = []
    made = runner(world, world.parts(), until=lambda: bool(world.commits()))

    def note() -> bool:
        phases.append(made.status.health.phase)
        return False

    made._may_campaign = waited(world, note)
    made.run()
    assert world.commits() == []
    assert set(phases[1:]) == {"standby"}
    assert made.status.health.reason == ""


def test_it_is_run_as_soon_as_it_may_be() -> None:
    world = World()
    report(world, 1)
    allowed = waited(world, no_then_yes(2))
    runner(world, world.parts(), until=lambda: bool(world.commits()), may_campaign=allowed).run()
    assert len(world.commits()) == 1


def test_what_is_asked_for_is_handed_over_published_and_clean() -> None:
    world = World()
    report(world, 1)
    source = world.parts().source
    assert isinstance(source, MemorySource)
    gone: list[bool] = []

    def may_campaign() -> bool:
        if not world.reports:
            return True
        gone.append(world.cluster.read(0, lambda keys, _: keys.owner is None))
        return False

    runner(
        world,
        world.parts(source=source),
        until=lambda: len(gone) > 1,
        may_campaign=may_campaign,
        hand_over_asked=lambda: bool(world.reports),
    ).run()
    assert gone == [True, True]
    assert len(world.commits()) == 1
    assert world.cluster.read(0, lambda keys, _: keys.attempts) == Attempts(clean=True)
    assert source._next == {}, "the inputs were let go"
    assert ("shard_handed_over", {"shard": 0}) in world.log


def test_a_shard_handed_over_is_run_by_the_next_from_where_it_was_left() -> None:
    world = World()
    report(world, 1)
    runner(
        world,
        world.parts("one"),
        until=lambda: False,
        may_campaign=waited(world, yes_then_no()),
        hand_over_asked=lambda: bool(world.reports),
    ).run()
    report(world, 1)
    world.run(world.parts("two"))
    first, second = world.commits()
    assert [part.end for part in first.ranges] == [part.start for part in second.ranges]
    assert second.epoch > first.epoch


class Unclear(MemoryOwnership):
    """The reply to its first campaign is lost."""

    campaigns = 0

    def campaign(self) -> int | None:
        epoch = super().campaign()
        self.campaigns += 1
        if self.campaigns == 1:
            raise StoreUnavailable("the reply was lost")
        return epoch


def test_a_campaign_without_an_answer_is_settled_by_another_whether_it_may_be_or_not() -> None:
    world = World()
    report(world, 1)
    ownership = Unclear(world.cluster, 0, "unclear")
    allowed = waited(world, yes_then_no())
    parts = world.parts(ownership=ownership)
    runner(world, parts, until=lambda: bool(world.commits()), may_campaign=allowed).run()
    assert ownership.campaigns == 2
    assert len(world.commits()) == 1


def test_who_cannot_know_whether_it_may_campaign_says_why_it_waits() -> None:
    world = World()
    reasons: list[str] = []
    made = runner(world, world.parts(), until=lambda: len(reasons) > 1)

    def away() -> bool:
        reasons.append(made.status.health.reason)
        raise StoreUnavailable("the store is away")

    made._may_campaign = away
    made.run()
    assert reasons == ["", "the store is away"]


def test_a_takeover_that_cannot_go_on_ends_when_the_shard_is_asked_for() -> None:
    world = World()
    world.broker.delete_topic("high")
    gone: list[bool] = []

    def may_campaign() -> bool:
        gone.append(world.cluster.read(0, lambda keys, _: keys.owner is None))
        return len(gone) == 1

    made = runner(world, world.parts(), until=lambda: len(gone) > 1, may_campaign=may_campaign)
    made._hand_over_asked = lambda: "high" in made.status.health.reason
    made.run()
    assert gone == [True, True]
