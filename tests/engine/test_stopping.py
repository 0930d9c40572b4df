import msgspec

from processor.engine.errors import OutcomeUnknown
from processor.engine.health import Board
from processor.engine.shard import ShardRunner
from processor.engine.values import Commit, Committed, Refused
from processor.memory.store import MemoryInFlight, MemoryStore
from tests.engine.test_reloading import Newer
from tests.engine.test_shard import report
from tests.engine.world import World


class Unanswered(MemoryInFlight):
    """Never arrives, and nobody ever answers."""

    def __init__(self, store: MemoryStore) -> None:
        del store

    def result(self) -> Committed | Refused:
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
        msgspec.structs.replace(parts, identity=identity), board=Board(0), stopping=lambda: world.clock.seconds > stop_s
    )
    runner.run()
    assert runner.board.health.phase == "stopped"
    assert [commit.kind for commit in world.commits()] == ["batch"]
