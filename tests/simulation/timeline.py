"""The faults that have a moment of their own."""

from collections.abc import Callable, Mapping
from typing import Protocol

from processor.engine.shard import ShardRunner
from tests.simulation.edits import Hand
from tests.simulation.output import OutputBroker
from tests.simulation.process import Process, Stage
from tests.simulation.settings import Settings
from tests.simulation.sink import OUTPUTS, TRANSACTION_TIMEOUT_MS, foreign_transaction

JUMP_MAX_MS = 10_000.0
PRESSURE_MAX_MS = 800.0
NOTICES_MS = (0.0, 30.0, 300.0, 2500.0)


class World(Protocol):
    """What faults happen to."""

    stage: Stage
    settings: Settings
    broker: OutputBroker
    hand: Hand
    processes: dict[Process, ShardRunner]


def plan_faults(world: World) -> None:
    """Schedule all faults that the seed has; each is noted when it found something to happen to."""
    faults, scheduler = world.stage.faults, world.stage.scheduler
    for kind, happen in HAPPENINGS.items():
        for moment_ms in faults.moments(kind, duration_ms=world.settings.duration_ms):
            scheduler.after(moment_ms, _noted(world, kind, happen))


def _noted(world: World, kind: str, happen: Callable[[World], bool]) -> Callable[[], None]:
    def call() -> None:
        if happen(world):
            world.stage.faults.note(kind)

    return call


def _one(world: World, kind: str, *, owning: bool) -> Process | None:
    chosen = [process for process in world.processes if not process.dead and not process.stopping]
    if owning:
        owner = world.stage.cluster.read(0, lambda keys, _: keys.owner)
        chosen = [process for process in chosen if process.lease == owner]
    return world.stage.faults.chance(kind).choice(chosen) if chosen else None


def _lease_lost(world: World) -> bool:
    process = _one(world, "lease lost", owning=True)
    if process is not None:
        process.lose_lease(notice_after_ms=world.stage.faults.chance("lease lost").choice(NOTICES_MS))
    return process is not None


def _stop(world: World) -> bool:
    process = _one(world, "stop", owning=world.stage.faults.chance("stop").random() < 0.7)
    if process is not None:
        process.tell("! is asked to stop")
        process.stopping = True
    return process is not None


def _edit(world: World) -> bool:
    return world.hand.edit()


def _edits(world: World) -> bool:
    chance = world.stage.faults.chance("edits in a row")
    edited = world.hand.edit()
    for _ in range(chance.randint(1, 2) if edited else 0):
        world.stage.scheduler.after(chance.uniform(0, 30), world.hand.edit)
    return edited


def _upgrade(world: World) -> bool:
    world.stage.version = 2
    world.stage.tell("run", "! from now on version 2 is started")
    process = _one(world, "upgrade", owning=False)
    if process is not None:
        process.stopping = True
    return process is not None


def _clock_jump(world: World) -> bool:
    jump_ms = world.stage.faults.chance("clock jump").uniform(-JUMP_MAX_MS, JUMP_MAX_MS)
    world.stage.wall_offset_ms += jump_ms
    world.stage.tell("run", f"! the wall clock jumps by {jump_ms:.0f} ms")
    return True


def _pressure(world: World) -> bool:
    duration_ms = world.stage.faults.chance("pressure").uniform(10, PRESSURE_MAX_MS)
    world.stage.pressure_until_ms = world.stage.scheduler.now_ms + duration_ms
    world.stage.tell("run", f"! the store is almost full for {duration_ms:.0f} ms")
    return True


def _foreign_transaction(world: World) -> bool:
    chance, stage = world.stage.faults.chance("foreign transaction"), world.stage
    topic = chance.choice(list(OUTPUTS.values()))
    abort = foreign_transaction(world.broker, topic, f"foreign {stage.scheduler.now_ms}")
    duration_ms = chance.uniform(5, TRANSACTION_TIMEOUT_MS)
    stage.scheduler.after(duration_ms, abort)
    stage.tell("foreigner", f"! has an open transaction on {topic} for {duration_ms:.0f} ms")
    return True


def _output_emptied(world: World) -> bool:
    topic = world.stage.faults.chance("output emptied").choice(("changes", "dead-letters"))
    # retention takes what is old: nothing of a transaction that may have been committed by half a moment ago
    head = world.stage.cluster.read(0, lambda keys, _: keys.head)
    emptied = head is not None and head.announced_seq == head.seq and world.broker.empty(topic)
    if emptied:
        world.stage.tell("run", f"! retention empties {topic}")
    return emptied


HAPPENINGS: Mapping[str, Callable[[World], bool]] = {
    "lease lost": _lease_lost,
    "stop": _stop,
    "edit": _edit,
    "edits in a row": _edits,
    "upgrade": _upgrade,
    "clock jump": _clock_jump,
    "pressure": _pressure,
    "foreign transaction": _foreign_transaction,
    "output emptied": _output_emptied,
}
