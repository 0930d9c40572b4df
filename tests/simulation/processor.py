"""The processors of a run: the real engine, its ports simulated, and at will one part of it made wrong."""

from collections.abc import Callable

import msgspec

from processor.engine.announcing import Announcer
from processor.engine.health import ShardStatus
from processor.engine.orchestrator import Orchestrator
from processor.engine.parts import Callbacks, Parts
from processor.engine.publisher import Publisher
from processor.engine.recovery import Recovered
from processor.engine.shard import ShardRunner
from processor.engine.values import Identity
from tests.engine.world import EventCodec, JsonCodec
from tests.simulation.announcer import SimulatedAnnouncer
from tests.simulation.output import OutputBroker
from tests.simulation.ownership import SimulatedOwnership
from tests.simulation.process import Process, Stage
from tests.simulation.settings import Settings
from tests.simulation.sink import SimulatedSink
from tests.simulation.source import SimulatedSource
from tests.simulation.store import SimulatedStore
from tests.simulation.workload import FragileTwins

EDITED = "changed without the head"
NEWER = "this build has 1: run a newer build"
"""Why a shard may be refused until somebody changes its head: after an edit, and by what is older than the state."""


class Defect(msgspec.Struct, frozen=True):
    """What to build a processor with; the defaults are sound."""

    store: type[SimulatedStore] = SimulatedStore
    source: type[SimulatedSource] = SimulatedSource
    sink: type[SimulatedSink] = SimulatedSink
    ownership: type[SimulatedOwnership] = SimulatedOwnership
    machine: type[FragileTwins] = FragileTwins
    decoder: type[EventCodec] = EventCodec
    announcer: type[SimulatedAnnouncer] | None = None
    publisher: type[Publisher] | None = None
    orchestrator: type[Orchestrator] | None = None


SOUND = Defect()


class SimulatedClock:
    """Virtual time as one process sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def now_ms(self) -> int:
        """Return wall time, which may jump."""
        return self._process.stage.now_ms()

    def monotonic_s(self) -> float:
        """Return time that only goes forward."""
        return self._process.stage.scheduler.now_ms / 1000

    def sleep(self, seconds: float) -> None:
        """Pause."""
        self._process.pause(1000 * seconds)


class SimulatedRunner(ShardRunner):
    """Makes what the defect says, and threads that wait for the baton."""

    def __init__(self, parts: Parts, process: Process, defect: Defect, *, background: bool) -> None:
        super().__init__(parts, status=ShardStatus(0), stopping=lambda: process.stopping)
        self._process = process
        self._defect = defect
        self._background = background

    def _new_publisher(self) -> Publisher:
        parts, defective = self._parts, self._defect.publisher
        if defective is None:
            return super()._new_publisher()
        return defective(parts.sink, parts.ownership, identity=parts.identity, limits=parts.limits)

    def _new_announcer(self, publisher: Publisher) -> Announcer:
        if self._background or self._defect.announcer is not None:
            return (self._defect.announcer or SimulatedAnnouncer)(self._process, self._parts, publisher)
        return super()._new_announcer(publisher)

    def _new_orchestrator(self, recovered: Recovered, *, epoch: int, publisher: Publisher) -> Orchestrator:
        defective = self._defect.orchestrator
        if defective is None:
            return super()._new_orchestrator(recovered, epoch=epoch, publisher=publisher)
        return defective(self._parts, recovered, epoch=epoch, publisher=publisher, status=self.status)


class Workshop:
    """Builds processors and remembers what they refused."""

    def __init__(self, stage: Stage, broker: OutputBroker, settings: Settings, defect: Defect) -> None:
        self._stage = stage
        self._broker = broker
        self._settings = settings
        self._defect = defect
        self._refusals: list[str] = []
        self._reloads = 0
        for topic in ("high", "normal", "changes", "commits", "dead-letters"):
            broker.create_topic(topic)

    def runner(self, process: Process) -> ShardRunner:
        """Return a processor."""
        background = self._settings.announce_in_background
        return SimulatedRunner(self.parts(process), process, self._defect, background=background)

    def parts(self, process: Process) -> Parts:
        """Return the parts of a processor or a tool."""
        codec, settings, stage = JsonCodec(), self._settings, self._stage
        return Parts(
            machine=self._defect.machine(process, stage.version),
            decoder=self._defect.decoder(codec),
            encoder=codec,
            store=self._defect.store(process, settings.capacity),
            source=self._defect.source(process, self._broker),
            sink=self._defect.sink(process, self._broker, record_bytes_max=settings.record_bytes_max),
            ownership=self._defect.ownership(process),
            clock=SimulatedClock(process),
            identity=Identity("app", 0, "cluster", stage.version),
            limits=settings.limits,
            speculate=settings.speculate,
            callbacks=Callbacks(
                pressure=lambda: "the store is almost full" if stage.scheduler.now_ms < stage.pressure_until_ms else "",
                log=self._log_of(process),
            ),
        )

    def unexpected(self, *, edits: int, told: bool) -> list[str]:
        """Return what was refused or loaded again without a fault that explains it.

        An edit that the head tells of (`told`) is nobody's reason to refuse.
        """
        edited = bool(edits)
        explained = [EDITED] * (edited and not told) + [NEWER] * bool(self._stage.faults.fired["upgrade"])
        found = [f"refused: {why}" for why in self._refusals if not any(part in why for part in explained)]
        return found + [f"{count} reloads" for count in (self._reloads,) if count and not edited]

    def _log_of(self, process: Process) -> Callable[..., None]:
        def log(event: str, **fields: object) -> None:
            told = ", ".join(f"{name} {value}" for name, value in fields.items() if name != "shard")
            process.tell(f"[{event}] {told}")
            self._reloads += event == "reloaded"
            if event == "shard_refused":
                self._refusals.append(str(fields["reason"]))

        return log
