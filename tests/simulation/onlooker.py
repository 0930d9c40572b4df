"""What must hold at every moment, looked at whenever the store's head or the output changes."""

from processor.engine.inputs import Record
from processor.engine.values import Head
from processor.memory.log import Log
from tests.simulation.cluster import Written
from tests.simulation.output import OutputBroker
from tests.simulation.process import Stage
from tests.simulation.sink import OUTPUTS


class Onlooker:
    """Collects `findings`."""

    def __init__(self, stage: Stage, broker: OutputBroker) -> None:
        self.findings: list[str] = []
        self._stage = stage
        self._broker = broker
        self._last: Written | None = None
        stage.cluster.onlooker = self._head_written
        broker.onlooker = self._output_committed

    def _head_written(self, written: Written) -> None:
        last, self._last = self._last, written
        head = written.head
        is_commit = last is None or head.seq != last.head.seq
        if is_commit and head.epoch != written.owner_epoch:
            self._find(f"epoch {head.epoch} commits, the owner's is {written.owner_epoch}")
        if last is None:
            if head.seq != 0:
                self._find(f"the first head has seq {head.seq}")
            return
        self._compare(head, last.head)

    def _compare(self, head: Head, last: Head) -> None:
        if head.seq not in {last.seq, last.seq + 1}:
            self._find(f"seq {head.seq} follows seq {last.seq}")
        if head.epoch < last.epoch:
            self._find(f"epoch {head.epoch} follows epoch {last.epoch}")
        if head.seq == last.seq and (head.positions, head.digest) != (last.positions, last.digest):
            self._find(f"seq {head.seq} was rewritten")
        if head.announced_seq < last.announced_seq:
            self._find(f"announced_seq fell from {last.announced_seq} to {head.announced_seq}")
        if head.announced_seq > max(last.announced_seq, self._published_seq()):
            self._find(f"the outbox is trimmed up to {head.announced_seq}, the log goes up to {self._published_seq()}")

    def _output_committed(self) -> None:
        stands = -1 if self._last is None else self._last.head.seq
        published = self._published_seq()
        if published > stands:
            self._find(f"seq {published} is published, the store is at {stands}")

    def _published_seq(self) -> int:
        """Return the highest seq that the commit log has, visible already or only once a foreign transaction ends."""
        record = _last_committed(self._broker._log(OUTPUTS["commits"], 0))
        return -1 if record is None else int(dict(record.headers)["processor-seq"] or b"")

    def _find(self, what: str) -> None:
        self._stage.tell("onlooker", what)
        self.findings.append(what)


def _last_committed(log: Log) -> Record | None:
    for record, transaction in reversed(log._slots):
        if record is not None and (transaction is None or transaction.status == "committed"):
            return record
    return None
