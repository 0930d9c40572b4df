"""What a shard says and does while a service is away: one word of it, no spinning, and an end when it is asked."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from processor.engine.announcements import OutputRecord
from processor.engine.errors import OutcomeUnknown, SinkUnclear, StoreUnavailable
from processor.engine.health import ShardStatus
from processor.engine.shard import ShardRunner
from processor.engine.values import Committed, Conflict, HeadView
from processor.memory.sink import MemorySink
from processor.memory.store import MemoryInFlight, MemoryStore
from tests.engine.test_shard import report
from tests.engine.world import TOPICS, World

GIVE_UP_AFTER_S = 600.0


class Silent(MemoryStore):
    """From the n-th commit on answers nothing until `back` is true; then everything was applied."""

    def __init__(self, world: World, *, at: int, back: Callable[[], bool]) -> None:
        super().__init__(world.cluster, 0, world.capacity)
        self.left, self._back, self.asked = at, back, 0

    @property
    def is_away(self) -> bool:
        return self.left <= 0 and not self._back()

    def send(self, commit: Any) -> MemoryInFlight:
        self.left -= 1
        return Unanswered(self, commit)

    def read_head(self) -> HeadView:
        if self.is_away:
            raise StoreUnavailable(f"no answer to question {self.asked}")
        return super().read_head()


class Unanswered(MemoryInFlight):
    """A request to a store that is silent."""

    _store: Silent

    def result(self) -> Committed | Conflict:
        self._store.asked += 1
        if self._store.is_away:
            raise OutcomeUnknown(f"silence {self._store.asked}")
        return super().result()


def words(world: World) -> list[str]:
    return [event for event, _ in world.log if event in {"paused", "resumed", "service_away", "service_back"}]


def run(world: World, stopping: Callable[[], bool] = lambda: False, **parts: Any) -> ShardRunner:
    end_s = world.clock.seconds + GIVE_UP_AFTER_S
    made = world.parts("stays", **parts)
    runner = ShardRunner(
        made, status=ShardStatus(0), stopping=lambda: stopping() or world.clock.seconds > end_s, once=True
    )
    runner.run()
    assert world.clock.seconds < end_s
    return runner


def test_a_store_that_is_silent_for_long_is_told_of_once_and_again_when_it_is_over() -> None:
    world = World(batch_events_max=5)
    report(world, 20)
    back_s = world.clock.seconds + 120
    store = Silent(world, at=3, back=lambda: world.clock.seconds > back_s)
    run(world, store=store)
    assert words(world) == ["paused", "resumed"]
    reason = next(fields["reason"] for event, fields in world.log if event == "paused")
    assert reason.startswith("store: ")
    assert 20 < store.asked < 120, "it asks again and again, ever more slowly"
    assert world.numbers() == list(range(20))


def test_who_pauses_for_long_is_alive() -> None:
    world = World(batch_events_max=5)
    report(world, 20)
    back_s = world.clock.seconds + 120
    status = ShardStatus(0)
    silent_s: list[float] = []

    def back() -> bool:
        silent_s.append(world.clock.seconds - max(status.health.moved_s, status.health.seen_s))
        return world.clock.seconds > back_s

    ShardRunner(
        world.parts(store=Silent(world, at=3, back=back)), status=status, stopping=lambda: False, once=True
    ).run()
    assert len(silent_s) > 20
    assert max(silent_s) < 10


def test_who_is_asked_to_stop_does_not_wait_for_a_store_that_is_silent() -> None:
    world = World(batch_events_max=5)
    report(world, 20)
    store = Silent(world, at=2, back=lambda: False)
    run(world, lambda: store.asked > 5, store=store)
    assert 5 < store.asked < 15
    assert [event for event, _ in world.log if event == "handed_over_unpublished"]
    world.run()
    assert world.numbers() == list(range(20))


class Unwritable(MemorySink):
    """Can be opened and read, and takes nothing until `writable` is true."""

    def __init__(self, world: World, writable: Callable[[], bool]) -> None:
        super().__init__(world.broker, TOPICS, 0, "app-0")  # type: ignore[arg-type]
        self._writable, self.refusals = writable, 0

    def publish(self, records: Sequence[OutputRecord]) -> None:
        if not self._writable():
            self.refusals += 1
            raise SinkUnclear("not authorised")
        super().publish(records)


@pytest.mark.parametrize("pending_commits_max", [2, 1000])
def test_an_output_that_takes_nothing_is_tried_ever_more_slowly_and_told_of_once(pending_commits_max: int) -> None:
    world = World(batch_events_max=5, pending_commits_max=pending_commits_max)
    report(world, 50)
    writable_s = world.clock.seconds + 120
    sink = Unwritable(world, lambda: world.clock.seconds > writable_s)
    seen: list[tuple[str, ...]] = []

    class Watched(ShardStatus):
        def update(self, **changes: object) -> None:
            super().update(**changes)
            seen.append(self.health.troubles)

    ShardRunner(world.parts(sink=sink), status=Watched(0), stopping=lambda: False, once=True).run()
    assert 20 < sink.refusals < 120
    assert ("output: not authorised",) in seen
    assert words(world).count("service_away") == words(world).count("service_back") == 1
    assert words(world).count("paused") == words(world).count("resumed") == (1 if pending_commits_max == 2 else 0)
    assert world.numbers() == list(range(50))


def test_inputs_that_are_away_are_told_of_and_make_nobody_stop() -> None:
    world = World(batch_events_max=5)
    report(world, 20)
    said: Iterator[str] = iter(["", "inputs: all brokers are down", "inputs: no answer"])
    world.run(world.parts(trouble=lambda: next(said, "")))
    assert next(said, None) is None
    assert words(world) == ["service_away", "service_back"]
    assert world.numbers() == list(range(20))


def test_a_health_with_any_trouble_is_not_ready() -> None:
    status = ShardStatus(0)
    ready = []
    for change in ({"phase": "owner"}, {"troubles": ("inputs: away", "output: away")}, {"reason": "store: away"}):
        status.update(**change)
        ready.append(status.health.ready)
    assert ready == [True, False, False]
    assert status.health.why == "store: away; inputs: away; output: away"
