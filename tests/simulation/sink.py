"""The sink port with transactions that end unclear: committed, aborted, left open, late, or only by half."""

from collections.abc import Callable, Sequence

from processor.engine.announcements import OutputRecord, Role, Tail
from processor.engine.errors import ShardRefused, SinkUnavailable, SinkUnclear
from processor.engine.outputs import tail_of
from processor.memory.broker import FencedError, NewRecord
from processor.memory.sink import MemorySink
from tests.simulation.output import OutputBroker
from tests.simulation.process import Process

OUTPUTS: dict[Role, str] = {"changes": "changes", "commits": "commits", "dead-letters": "dead-letters"}
TRANSACTIONAL_ID = "app-0"
TRANSACTION_TIMEOUT_MS = 1500.0
STABLE_TIMEOUT_MS = 5000.0
STABLE_POLL_MS = 20.0
UNCLEAR = (
    "output committed, reply lost",
    "output aborted",
    "output left open",
    "output committed late",
    "output half committed",
    "output half committed late",
)


class SimulatedSink(MemorySink):
    """The output as one process sees it."""

    def __init__(self, process: Process, broker: OutputBroker, *, record_bytes_max: int) -> None:
        super().__init__(broker, OUTPUTS, 0, TRANSACTIONAL_ID)
        self._process = process
        self._writing = broker
        self._record_bytes_max = record_bytes_max
        self.transactional_id = TRANSACTIONAL_ID

    def record_bytes_max(self) -> int:
        """Return the largest record."""
        return self._record_bytes_max

    def open(self) -> None:
        """Become the youngest writer. Raises SinkUnavailable, after which every older one may be fenced."""
        self._reach("open output")
        self._epoch = self._writing.register(self.transactional_id)
        self._process.tell(f"opens the output with producer epoch {self._epoch}")
        if self._process.stage.faults.strikes("output opened, reply lost"):
            self._epoch = None
            raise SinkUnavailable("output opened, reply lost")
        self._process.touch("opened output")

    def publish(self, records: Sequence[OutputRecord]) -> None:
        """Publish all in one transaction. Raises SinkUnclear: any part may be visible, now or later."""
        self._process.touch("publish")
        if self._epoch is None:
            raise SinkUnclear("no producer is open")
        fate = self._process.stage.faults.first(*UNCLEAR)
        self._process.tell(f"{'! ' if fate else ''}publishes {_names(records)}{': ' + fate if fate else ''}")
        try:
            if fate is None:
                self._whole(records, self._epoch)
            else:
                self._unclear(fate, records, self._epoch)
        except FencedError as failure:
            self._process.tell("! is fenced")
            self._epoch = None
            raise SinkUnclear(f"fenced: {failure}") from failure
        self._process.touch("published")

    def tails(self) -> dict[Role, Tail]:
        """Read the last data record of each partition. Raises SinkUnavailable, ShardRefused."""
        self._reach("tails")
        tails = {role: self._tail_once_stable(role) for role in OUTPUTS}
        self._process.touch("tails read")
        return tails

    def close(self) -> None:
        """Throw the producer away."""
        self._process.touch("close output")
        super().close()

    def _whole(self, records: Sequence[OutputRecord], epoch: int) -> None:
        middle = self._process.chance.randint(0, len(records))
        self._write(records[:middle], epoch)
        self._process.touch("producing")
        self._write(records[middle:], epoch)
        self._process.touch("produced")
        self._writing.commit(self.transactional_id, epoch)

    def _unclear(self, fate: str, records: Sequence[OutputRecord], epoch: int) -> None:
        chance, writing, name = self._process.stage.faults.chance(fate), self._writing, self.transactional_id
        first = self._part(records, chance.random) if "half" in fate else list(records)
        self._write(first, epoch)
        if "late" in fate:
            self._later(chance.uniform(0, TRANSACTION_TIMEOUT_MS), lambda: writing.commit(name, epoch))
        elif fate == "output aborted":
            writing.abort(name, epoch)
        elif fate != "output left open":
            writing.commit(name, epoch)
            self._write([record for record in records if record not in first], epoch)
        self._later(TRANSACTION_TIMEOUT_MS, lambda: writing.abort(name, epoch))
        raise SinkUnclear(fate)

    def _part(self, records: Sequence[OutputRecord], draw: Callable[[], float]) -> list[OutputRecord]:
        """Return the beginning of what goes to each partition: they are sent apart from each other.

        With one partition emptied by retention it is everything: then the commit log alone tells what was published.
        """
        if any(self._writing.is_emptied(topic) for topic in OUTPUTS.values()):
            return list(records)
        part: list[OutputRecord] = []
        for role in OUTPUTS:
            own = [record for record in records if record.role == role]
            part += own[: int(draw() * (len(own) + 1))]
        return part

    def _write(self, records: Sequence[OutputRecord], epoch: int) -> None:
        self._writing.write(self.transactional_id, epoch, [self._addressed(record) for record in records])

    def _later(self, delay_ms: float, call: Callable[[], None]) -> None:
        """End a transaction some time, if nobody younger has ended it by then."""

        def end() -> None:
            try:
                call()
            except FencedError:
                return

        self._process.stage.scheduler.after(delay_ms, end)

    def _tail_once_stable(self, role: Role) -> Tail:
        topic, began_ms = OUTPUTS[role], self._process.stage.scheduler.now_ms
        high = self._writing.extent(topic, 0).high
        while self._writing.extent(topic, 0).stable < high:
            if self._process.stage.scheduler.now_ms - began_ms > STABLE_TIMEOUT_MS:
                raise ShardRefused(f"{topic}: a foreign open transaction hides the tail")
            self._process.pause(STABLE_POLL_MS)
        return tail_of(role, self._writing.last(topic, 0), low=self._writing.extent(topic, 0).low)

    def _reach(self, what: str) -> None:
        self._process.touch(what)
        if self._process.stage.faults.strikes("output unavailable"):
            raise SinkUnavailable(f"no answer to {what}")


def foreign_transaction(broker: OutputBroker, topic: str, name: str) -> Callable[[], None]:
    """Open a transaction of somebody else on an output topic; return what aborts it."""
    epoch = broker.register(name)
    broker.write(name, epoch, [NewRecord(topic, 0, None, b"foreign")])
    return lambda: broker.abort(name, epoch)


def _names(records: Sequence[OutputRecord]) -> str:
    """Return seq and index of each record, dead letters with a cross, commit-log records with a star."""
    marks: dict[Role, str] = {"changes": "", "commits": "*", "dead-letters": "†"}
    names = []
    for record in records:
        headers = dict(record.headers)
        index = headers.get("processor-index")
        place = (headers["processor-seq"] or b"").decode() + ("" if index is None else "." + index.decode())
        names.append(place + marks[record.role])
    return " ".join(names)
