"""A shard that was refused is given up, and taken again as soon as its head is another."""

from collections.abc import Callable
from typing import Any

from processor.engine.errors import InvalidRequest, StoreUnavailable
from processor.engine.health import ShardStatus
from processor.engine.operator.adoption import adopt
from processor.engine.shard import ShardRunner
from processor.engine.values import Commit, HeadView
from processor.memory.ownership import MemoryOwnership
from processor.memory.store import MemoryInFlight, MemoryStore
from tests.engine.test_shard import edit, edited, report
from tests.engine.world import World

GIVE_UP_AFTER_S = 60.0


class Clumsy(MemoryOwnership):
    """Fails to give the shard up a few times; calls something at the first time that it does not."""

    def __init__(self, world: World, at_release: Callable[[], None], failures: int) -> None:
        super().__init__(world.cluster, 0, "clumsy")
        self._at_release: Callable[[], None] | None = at_release
        self._failures = failures

    def release(self, epoch: int, *, clean: bool) -> None:
        self._failures -= 1
        if self._failures >= 0:
            raise StoreUnavailable("no answer")
        super().release(epoch, clean=clean)
        at_release, self._at_release = self._at_release, None
        if at_release is not None:
            at_release()


def refused_world() -> World:
    """A state that was edited without its head."""
    world = World()
    report(world, 3)
    world.run()
    edit(world, edited(99), with_head=False)
    return world


def run_until(world: World, done: Callable[[], bool], **parts: Any) -> ShardRunner:
    """Run a processor that does not leave by itself until `done`, at most a minute of its time."""
    clock = world.clock
    end_s = clock.seconds + GIVE_UP_AFTER_S
    runner = ShardRunner(
        world.parts("stays", **parts), status=ShardStatus(0), stopping=lambda: done() or clock.seconds > end_s
    )
    runner.run()
    return runner


def test_a_shard_that_could_not_be_given_up_when_it_was_refused_is_given_up_later() -> None:
    world = refused_world()
    released: list[bool] = []
    ownership = Clumsy(world, lambda: released.append(True), failures=3)
    run_until(world, lambda: bool(released), ownership=ownership)
    assert released, "nobody else could have owned it, not even to adopt the edit"


def test_a_head_that_changes_while_the_refused_shard_is_given_up_is_noticed() -> None:
    world = refused_world()

    def adopted() -> None:
        adopt(world.parts("tool"))

    ownership = Clumsy(world, adopted, failures=0)
    run_until(world, lambda: len(world.commits()) == 2, ownership=ownership)
    assert [commit.kind for commit in world.commits()] == ["batch", "repair"]


class Selective(MemoryStore):
    """Takes the first two commits and finds the next ones invalid."""

    sends = 0

    def send(self, commit: Commit) -> MemoryInFlight:
        self.sends += 1
        if self.sends > 2:
            raise InvalidRequest("too large")
        return super().send(commit)


def test_a_shard_that_is_refused_after_commits_of_its_own_waits_for_another_head() -> None:
    world = World(batch_events_max=1)
    report(world, 5)
    run_until(world, lambda: False, store=Selective(world.cluster, 0, world.capacity))
    assert [event for event, _ in world.log].count("shard_refused") == 1


def test_an_idle_owner_looks_whether_the_shard_is_still_its_own_once_an_interval() -> None:
    world = World(peek_interval_ms=1000, trim_after_ms=1_000_000)
    looks = []

    class Watched(MemoryStore):
        def read_head(self) -> HeadView:
            looks.append(world.clock.seconds)
            return super().read_head()

    run_until(world, lambda: False, store=Watched(world.cluster, 0, world.capacity))
    assert GIVE_UP_AFTER_S * 0.9 < len(looks) < GIVE_UP_AFTER_S * 1.1


def test_conflicts_are_settled_as_often_as_the_limit_says_and_the_shard_is_refused_then() -> None:
    world = World(conflict_retries_max=2)
    report(world, 1)
    world.run()
    report(world, 1, reading=2)
    rivals = iter(range(100, 200))

    class Contested(MemoryStore):
        def send(self, commit: Any) -> Any:
            edit(world, edited(next(rivals)), with_head=True)
            return super().send(commit)

    world.run(world.parts(store=Contested(world.cluster, 0, world.capacity)))
    (reason,) = [fields["reason"] for event, fields in world.log if event == "shard_refused"]
    assert reason.startswith("given up after 3 conflicts in a row")
