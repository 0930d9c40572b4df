"""Another writer under our name: told apart from late owners, left alone for a while, and forgotten when it stops."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from processor.engine.announcements import OutputRecord
from processor.engine.contention import CALM_S, FENCINGS_MIN, PAUSE_MAX_S, WINDOW_S, Contention
from processor.engine.errors import OutputContended, OwnershipLost
from processor.engine.health import ShardStatus
from processor.engine.publisher import Publisher
from processor.engine.shard import ShardRunner
from processor.engine.values import Identity
from processor.memory.ownership import MemoryOwnership
from processor.memory.sink import MemorySink
from tests.engine.test_shard import report
from tests.engine.test_tails import entry
from tests.engine.world import TOPICS, World

IDENTITY = Identity("blue", 3, "cluster", 1)


def contention(count: int, *, every_s: float) -> tuple[Contention, list[float]]:
    made = Contention(IDENTITY)
    return made, [made.note(number * every_s, "fenced") for number in range(count)]


def test_a_late_owner_or_two_are_no_contention() -> None:
    made, pauses = contention(FENCINGS_MIN - 1, every_s=1.0)
    assert (made.sentence(1.0), set(pauses)) == ("", {0.0})


def test_fencings_that_are_far_apart_are_no_contention() -> None:
    made, pauses = contention(10, every_s=WINDOW_S)
    assert (made.sentence(9 * WINDOW_S), set(pauses), made.count) == ("", {0.0}, 10)


def test_contention_names_the_app_and_leaves_ever_longer_pauses() -> None:
    made, pauses = contention(FENCINGS_MIN + 8, every_s=1.0)
    sentence = made.sentence(11.0)
    assert "transactional.id blue-3 over 11 times within 11 s" in sentence
    assert "PROCESSOR_APP blue is probably shared" in sentence
    assert pauses[FENCINGS_MIN - 1 :][:3] == [1.0, 2.0, 4.0]
    assert pauses[-1] == PAUSE_MAX_S


def test_contention_ends_some_time_after_the_last_fencing() -> None:
    made, _ = contention(FENCINGS_MIN, every_s=1.0)
    last_s = FENCINGS_MIN - 1.0
    assert made.sentence(last_s + CALM_S)
    assert made.sentence(last_s + CALM_S + 1) == ""
    assert made.note(last_s + CALM_S + 1, "fenced") > 0, "that it is there again is told at once"
    assert made.sentence(last_s + CALM_S + 1)


class Rivalled(MemorySink):
    """Another deployment opens the output before each transaction, as long as `there` is true."""

    def __init__(self, world: World, there: Callable[[], bool]) -> None:
        super().__init__(world.broker, TOPICS, 0, "app-0")  # type: ignore[arg-type]
        self._world, self._there = world, there
        self.fenced_s: list[float] = []

    def publish(self, records: Sequence[OutputRecord]) -> None:
        if self._there():
            self._world.broker.register("app-0")
            self.fenced_s.append(self._world.clock.seconds)
        super().publish(records)


def test_an_owner_with_a_rival_is_not_ready_opens_rarely_and_goes_on_when_the_rival_stops() -> None:
    world = World(batch_events_max=5)
    report(world, 50)
    stops_s = world.clock.seconds + 150
    sink = Rivalled(world, lambda: world.clock.seconds < stops_s)
    seen: list[tuple[str, ...]] = []

    class Watched(ShardStatus):
        def update(self, **changes: object) -> None:
            super().update(**changes)
            seen.append(self.health.troubles)

    status = Watched(0)
    ShardRunner(world.parts(sink=sink), status=status, stopping=lambda: False, once=True).run()
    assert any("PROCESSOR_APP app is probably shared" in trouble for troubles in seen for trouble in troubles)
    assert [event for event, _ in world.log].count("output_fenced") == 1
    assert status.health.fencings == len(sink.fenced_s)
    gaps = [after - before for before, after in pairwise(sink.fenced_s)]
    assert max(gaps) >= PAUSE_MAX_S > min(gaps)
    assert len(sink.fenced_s) < 20, "in two minutes and a half"
    assert world.numbers() == list(range(50))


def test_an_owner_of_before_that_is_fenced_does_not_fence_its_successor() -> None:
    world = World()
    parts = world.parts("late")
    ownership = MemoryOwnership(world.cluster, 0, "late")
    epoch = ownership.campaign()
    assert epoch is not None
    late = Publisher(parts.sink, ownership, identity=parts.identity, limits=parts.limits)
    late.open_output(epoch=epoch)
    late.start(epoch=epoch, head_seq=0, announced_seq=0, outbox=())
    late.offer(entry(1))
    world.broker.register("app-0")
    with pytest.raises(OutputContended):
        late.pump()
    late.open_output(epoch=epoch)
    successor = world.broker.register("app-0")
    ownership.release(epoch, clean=True)
    with pytest.raises(OwnershipLost):
        late.pump()
    assert world.broker.register("app-0") == successor + 1, "nobody opened it meanwhile"
