"""The source port with inputs that are away, and lanes that give less than there is."""

from processor.engine.errors import SourceUnavailable
from processor.engine.inputs import LaneName, Positions, Record, TopicFacts
from processor.memory.source import MemorySource
from tests.simulation.output import OutputBroker
from tests.simulation.process import Process
from tests.simulation.sink import OUTPUTS

INPUTS: dict[LaneName, str] = {"high": "high", "normal": "normal"}
WAIT_POLL_MS = 10.0


class SimulatedSource(MemorySource):
    """The inputs as one process sees them."""

    def __init__(self, process: Process, broker: OutputBroker) -> None:
        super().__init__(broker, INPUTS, list(OUTPUTS.values()))
        self._process = process

    def facts(self) -> TopicFacts:
        """Return topic ids and watermarks. Raises SourceUnavailable."""
        self._reach("facts")
        facts = super().facts()
        self._process.touch("facts read")
        return facts

    def assign(self, positions: Positions) -> None:
        """Start reading at these offsets."""
        self._process.touch("assign")
        super().assign(positions)

    def take(self, lane: LaneName, limit: int) -> list[Record]:
        """Return some of what is there. Raises SourceUnavailable."""
        self._reach(f"take {lane}")
        faults = self._process.stage.faults
        if faults.strikes("input short"):
            limit = faults.chance("input short").randint(0, limit)
        return super().take(lane, limit)

    def wait(self, timeout_ms: int) -> None:
        """Wait for a high record."""
        left_ms = float(timeout_ms)
        while left_ms > 0 and not self._has_high():
            self._process.pause(min(left_ms, WAIT_POLL_MS))
            left_ms -= WAIT_POLL_MS

    def commit_group_offsets(self, positions: Positions) -> None:
        """Tell the broker the positions."""
        self._process.touch("tell positions")
        super().commit_group_offsets(positions)

    def close(self) -> None:
        """Read nothing more."""
        self._process.touch("close inputs")
        super().close()

    def _reach(self, what: str) -> None:
        self._process.touch(what)
        if self._process.stage.faults.strikes("input unavailable"):
            raise SourceUnavailable(f"no answer to {what}")
