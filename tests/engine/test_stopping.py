from collections.abc import Sequence

import msgspec
import pytest

from processor.engine.announcements import OutputRecord
from processor.engine.errors import OutcomeUnknown
from processor.engine.health import ShardStatus
from processor.engine.publisher import Publisher
from processor.engine.shard import ShardRunner
from processor.engine.values import Commit, Committed, Conflict
from processor.memory.sink import MemorySink
from processor.memory.store import MemoryInFlight, MemoryStore
from tests.engine.test_reloading import Newer
from tests.engine.test_shard import report
from tests.engine.world import TOPICS, World


class Unanswered(MemoryInFlight):
    """Never arrives, and nobody ever answers."""

    def __init__(self, store: MemoryStore) -> None:
        del store

    def result(self) -> Committed | Conflict:
        raise OutcomeUnknown("no answer")

    def again(self) -> None:
        """Get lost as well."""


class Silent(MemoryStore):
    """Loses every commit."""

    def send(self, commit: Commit) -> MemoryInFlight:
        del commit
        return Unanswered(self)


def test_a_stop_while_an_upgrade_is_unanswered_ends_the_processor_in_peace() -> None:
    world = World()
    report(world, 3)
    world.run()
    parts = world.parts(machine=Newer(), store=Silent(world.cluster, 0, world.capacity))
    identity = msgspec.structs.replace(parts.identity, reducer_version=2)
    stop_s = world.clock.seconds + 10
    runner = ShardRunner(
        msgspec.structs.replace(parts, identity=identity),
        status=ShardStatus(0),
        stopping=lambda: world.clock.seconds > stop_s,
    )
    runner.run()
    assert runner.status.health.phase == "stopped"
    assert [commit.kind for commit in world.commits()] == ["batch"]


class Broken(MemorySink):
    """Has a bug: the first transaction is left open and ends in an error that nobody expects."""

    def __init__(self, world: World) -> None:
        super().__init__(world.broker, TOPICS, 0, "app-0")  # type: ignore[arg-type]
        self.failed = False
        self._world = world

    def publish(self, records: Sequence[OutputRecord]) -> None:
        if not self.failed:
            self.failed = True
            self._world.broker.write("app-0", self._epoch or 0, [self._addressed(record) for record in records])
            raise RuntimeError("a bug")
        super().publish(records)


def test_a_publisher_that_broke_down_is_noticed_even_when_asked_to_stop() -> None:
    world = World(background=True)
    report(world, 3)
    sink = Broken(world)
    runner = ShardRunner(world.parts(sink=sink), status=ShardStatus(0), stopping=lambda: sink.failed)
    with pytest.raises(RuntimeError, match="a bug"):
        runner.run()
    assert world.numbers() == []


def test_a_producer_whose_transaction_broke_off_is_made_anew_before_it_is_used_again() -> None:
    world = World()
    report(world, 3)
    sink = Broken(world)
    parts = world.parts(sink=sink)
    with pytest.raises(RuntimeError, match="a bug"):
        world.run(parts)
    publisher = Publisher(sink, parts.ownership, identity=parts.identity, limits=parts.limits)
    epoch = parts.ownership.campaign()
    assert epoch is not None
    snapshot = parts.store.load()
    publisher.open_output(epoch=epoch)
    publisher.start(epoch=epoch, head_seq=1, announced_seq=0, outbox=snapshot.outbox)
    sink.failed = False
    with pytest.raises(RuntimeError, match="a bug"):
        publisher.pump()
    assert publisher.pump()
    assert world.numbers() == list(range(3))
