"""After an unclean start records are tried one at a time, so that one that kills the process is found and put aside."""

from processor.engine.limits import Limits
from processor.engine.ports import Store
from processor.engine.values import Attempts, Record, Snapshot


class CrashCounter:
    """Counts, in the store, how often the record in hand was tried; `left` records are still tried carefully."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._last = Attempts()
        self._stored = False
        self.left = 0

    @property
    def careful(self) -> bool:
        """Records are still tried one at a time."""
        return self.left > 0

    @property
    def to_clear(self) -> bool:
        """The next commit may delete the counter."""
        return self._stored and not self.careful

    def begin(self, snapshot: Snapshot) -> None:
        """Start after a take-over: unclean unless the hand-over left its mark, or there is no state yet."""
        found = snapshot.attempts
        clean = snapshot.head is None or (found is not None and found.clean)
        self._last = found or Attempts()
        self._stored = found is not None
        self.left = 0 if clean else 2 * self._limits.batch_events_max

    def admit(self, record: Record, *, expected_revision: int, epoch: int) -> bool | None:
        """Note that this record is tried now. False: tried too often already; None: the store refused the note."""
        before = self._last
        same = (before.topic, before.partition, before.offset) == (record.topic, record.partition, record.offset)
        count = before.count + 1 if same and not before.clean else 1
        attempts = Attempts(topic=record.topic, partition=record.partition, offset=record.offset, count=count)
        if not self._store.try_record(attempts, expected_revision=expected_revision, epoch=epoch):
            return None
        self._last, self._stored = attempts, True
        self.left -= 1
        return count < self._limits.crash_attempts_max

    def cleared(self) -> None:
        """Note that a commit deleted the counter."""
        self._stored = False
