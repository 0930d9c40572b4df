"""One seed, played to the verdict: processors come and go, faults happen, and then calm returns."""

from collections.abc import Collection
from random import Random

import msgspec

from processor.engine.errors import OutcomeUnknown, OwnershipLost, Retry, ShardRefused
from processor.engine.operator.adoption import adopt
from processor.engine.shard import ShardRunner
from processor.memory.store import MemoryStore
from tests.simulation.edits import Hand
from tests.simulation.faults import Faults
from tests.simulation.judgement import judge
from tests.simulation.onlooker import Onlooker
from tests.simulation.output import OutputBroker
from tests.simulation.process import Process, Stage
from tests.simulation.processor import SOUND, Defect, Workshop
from tests.simulation.settings import draw_settings
from tests.simulation.sink import OUTPUTS
from tests.simulation.source import INPUTS
from tests.simulation.timeline import plan_faults
from tests.simulation.workload import Workload

LAST_RECORDS = 4
CALM_MAX_MS = 60_000.0
LOOK_INTERVAL_MS = 40.0
OPERATOR_INTERVAL_MS = 250.0
ADOPTABLE = "changed without the head"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a seed; no findings: all is well. `kinds` are the faults that it had, `fired` how often."""

    seed: int
    findings: tuple[str, ...]
    kinds: tuple[str, ...]
    fired: dict[str, int]
    commits_under_faults: int
    commits_in_calm: int
    schedule: tuple[str, ...]


class Run:
    """One world. `without` and `always` are kinds of faults, `defect` makes the processors wrong in one respect."""

    def __init__(
        self,
        seed: int,
        *,
        without: Collection[str] = (),
        always: Collection[str] = (),
        defect: Defect = SOUND,
    ) -> None:
        self.seed = seed
        self.settings = draw_settings(seed)
        self.stage = Stage(seed, Faults(seed, without=without, always=always))
        self.broker = OutputBroker(self.stage.now_ms)
        self.onlooker = Onlooker(self.stage, self.broker)
        self.hand = Hand(self.stage, Random(f"{seed}/hand"))
        self.processes: dict[Process, ShardRunner] = {}
        self.finishing = False
        self._chance = Random(f"{seed}/processes")
        self._workshop = Workshop(self.stage, self.broker, self.settings, defect)
        self._workload = Workload(self.stage, self.broker, Random(f"{seed}/workload"))
        self._commits_at_calm = 0
        self._operators = 0
        self._adopting = False
        self._names = 0

    def play(self) -> Outcome:
        """Play it and return what became of it."""
        scheduler = self.stage.scheduler
        for _ in range(self.settings.processes):
            scheduler.after(self._chance.uniform(0, 300), self._start)
        self._workload.begin(records=self.settings.records, duration_ms=self.settings.duration_ms)
        plan_faults(self)
        scheduler.after(self.settings.duration_ms, self._calm)
        scheduler.after(OPERATOR_INTERVAL_MS, self._look_for_refusals)
        scheduler.run(until_ms=self.settings.duration_ms + CALM_MAX_MS)
        findings = tuple(self._findings())
        scheduler.close()
        return Outcome(
            seed=self.seed,
            findings=findings,
            kinds=self.stage.faults.kinds,
            fired=dict(self.stage.faults.fired),
            commits_under_faults=self._commits_at_calm,
            commits_in_calm=self._commits() - self._commits_at_calm,
            schedule=tuple(self.stage.schedule),
        )

    # -- processes -------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._names += 1
        process = Process(self.stage, f"p{self._names}", Random(f"{self.seed}/p{self._names}"))
        runner = self._workshop.runner(process)
        self.processes[process] = runner
        process.tell(f"starts, version {self.stage.version}")
        self.stage.scheduler.spawn(process.name, lambda: self._live(process, runner))

    def _live(self, process: Process, runner: ShardRunner) -> None:
        try:
            runner.run()
        finally:
            process.end()
            del self.processes[process]
            if not self.finishing:
                self.stage.scheduler.after(self._chance.uniform(20, 1200), self._start)

    # -- people ----------------------------------------------------------------------------------------------

    def _look_for_refusals(self) -> None:
        refused = [runner.status.health.reason for runner in self.processes.values() if _is_refused(runner)]
        if any(ADOPTABLE in reason for reason in refused) and not self._adopting:
            self._adopting = True
            self._operators += 1
            name = f"operator{self._operators}"
            process = Process(self.stage, name, Random(f"{self.seed}/{name}"))
            self.stage.scheduler.spawn(name, lambda: self._adopt(process))
        self.stage.scheduler.after(OPERATOR_INTERVAL_MS, self._look_for_refusals)

    def _adopt(self, process: Process) -> None:
        parts = self._workshop.parts(process)
        try:
            adopt(parts)
            process.tell("has adopted the edits")
            parts.ownership.close()
        except OwnershipLost as owned:
            process.tell(f"could not adopt: {owned}")
            self._stop_refused()
        except (Retry, OutcomeUnknown, ShardRefused) as error:
            process.tell(f"could not adopt: {error}")
        finally:
            process.end()
            self._adopting = False

    def _stop_refused(self) -> None:
        """Stop who refused the shard and may own it without knowing: a campaign of his may have arrived late."""
        if self.stage.faults.fired["campaign delayed"]:
            for process, runner in self.processes.items():
                process.stopping = process.stopping or _is_refused(runner)

    # -- calm ------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        self.stage.tell("run", "no more faults")
        self.stage.faults.active = False
        self._commits_at_calm = self._commits()
        for process in self.processes:
            process.stopping = process.stopping or process.version < self.stage.version
        for _ in range(LAST_RECORDS):
            self.stage.scheduler.after(self._chance.uniform(0, 300), self._make_a_difference)
        self.stage.scheduler.after(1000, self._look_whether_settled)

    def _make_a_difference(self) -> None:
        self._workload.difference(self._chance.choice(list(INPUTS.values())))

    def _commits(self) -> int:
        return self.stage.cluster.journal[-1].head.seq if self.stage.cluster.journal else 0

    def _look_whether_settled(self) -> None:
        if not self.finishing and self.is_settled():
            self.stage.tell("run", "settled: everybody hands over")
            self.finishing = True
        if self.finishing:
            for process in self.processes:
                process.stopping = True
            if not self.processes:
                self.stage.scheduler.stop()
        self.stage.scheduler.after(LOOK_INTERVAL_MS, self._look_whether_settled)

    def is_settled(self) -> bool:
        """Everything is consumed, published and trimmed, and somebody owns the shard."""
        snapshot = MemoryStore(self.stage.cluster, 0).load()
        head = snapshot.head
        if head is None or snapshot.outbox or head.announced_seq != head.seq:
            return False
        extents = [self.broker.extent(topic, 0) for topic in (*INPUTS.values(), *OUTPUTS.values())]
        stable = all(extent.stable == extent.high for extent in extents)
        consumed = not any(self.broker.read(topic, 0, head.positions[topic][0], 1) for topic in INPUTS.values())
        return stable and consumed and any(runner.status.health.phase == "owner" for runner in self.processes.values())

    def _findings(self) -> list[str]:
        found = list(self.onlooker.findings)
        failure = self.stage.scheduler.failure
        if failure is not None:
            found.append(f"{type(failure).__name__}: {failure}")
        elif self.processes or not self.finishing:
            found.append(f"not settled {CALM_MAX_MS:.0f} ms after the last fault: {self._state()}")
        else:
            found += judge(self.broker, self.stage.cluster, self.hand.edits)
        return found + self._workshop.unexpected(edits=len(self.hand.edits), told=self.hand.tells)

    def _state(self) -> str:
        return "; ".join(f"{process.name} {_health(runner)}" for process, runner in self.processes.items())


def _is_refused(runner: ShardRunner) -> bool:
    return runner.status.health.phase == "refused"


def _health(runner: ShardRunner) -> str:
    health = runner.status.health
    return f"{health.phase} seq {health.seq}, {health.outbox_commits} to publish, {health.reason!r}"
