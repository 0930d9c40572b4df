"""After an unclean start records are tried one at a time, so that one that kills the process is found and put aside."""

from processor.engine.inputs import Record
from processor.engine.limits import Limits
from processor.engine.ports import Store
from processor.engine.values import Attempts, Snapshot, Tried


class CrashCounter:
    """Counts, in the store, how often the record in hand was tried; `left` records are still tried one at a time.

    It starts unclean unless the hand-over left its mark in the snapshot, or there is no state yet. After a clean one
    the first record is tried alone: its note replaces the mark, which must not be found again by the owner after a
    crash.

    A count is kept a partition, so that it survives whatever the other lane brings between two crashes, and it is
    raised once an owner: a batch that is taken again after a conflict was not tried more often for that.
    """

    def __init__(self, store: Store, limits: Limits, snapshot: Snapshot) -> None:
        self._store = store
        self._limits = limits
        found = snapshot.attempts
        self._found = {} if found is None else {(item.topic, item.partition): item for item in found.tried}
        self._noted = dict(self._found)
        self.stored = found is not None
        self.left = 0
        if snapshot.head is not None:
            self.left = 1 if found is not None and found.clean else 2 * limits.batch_events_max

    @property
    def one_at_a_time(self) -> bool:
        """Records are still tried one at a time."""
        return self.left > 0

    @property
    def to_clear(self) -> bool:
        """The next commit may delete the counter."""
        return self.stored and not self.one_at_a_time

    def admit(self, record: Record, *, expected_revision: int, epoch: int) -> bool | None:
        """Note that this record is tried now. False: tried too often already; None: the store refused the note."""
        place = record.topic, record.partition
        before = self._found.get(place)
        count = before.count + 1 if before is not None and before.offset == record.offset else 1
        noted = self._noted | {place: Tried(*place, record.offset, count)}
        attempts = Attempts(tried=tuple(noted.values()))
        if not self._store.try_record(attempts, expected_revision=expected_revision, epoch=epoch):
            return None
        self._noted, self.stored = noted, True
        self.left -= 1
        return count < self._limits.crash_attempts_max

    def note_commit(self) -> None:
        """Note that a commit succeeded, which deleted the counter if it could be cleared."""
        self.stored = self.stored and not self.to_clear
