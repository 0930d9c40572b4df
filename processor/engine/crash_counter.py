"""After an unclean start records are tried one at a time, so that one that kills the process is found and put aside."""

from processor.engine.inputs import Record
from processor.engine.limits import Limits
from processor.engine.ports import Store
from processor.engine.values import Attempts, Snapshot, Tried


class CrashCounter:
    """Counts, in the store, how often the record in hand was tried; `left` records are still tried carefully.

    A count is kept a partition, so that it survives whatever the other lane brings between two crashes, and it is
    raised once an owner: a batch that is taken again after a conflict was not tried more often for that.
    """

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._found: dict[tuple[str, int], Tried] = {}
        self._noted: dict[tuple[str, int], Tried] = {}
        self.stored = False
        self.left = 0

    @property
    def careful(self) -> bool:
        """Records are still tried one at a time."""
        return self.left > 0

    @property
    def to_clear(self) -> bool:
        """The next commit may delete the counter."""
        return self.stored and not self.careful

    def begin(self, snapshot: Snapshot) -> None:
        """Start after a take-over: unclean unless the hand-over left its mark, or there is no state yet.

        After a clean one the first record is tried alone: its note replaces the mark, which must not be found again
        by whoever comes after a crash.
        """
        found = snapshot.attempts
        self._found = {} if found is None else {(item.topic, item.partition): item for item in found.tried}
        self._noted = dict(self._found)
        self.stored = found is not None
        if snapshot.head is None:
            self.left = 0
        else:
            self.left = 1 if found is not None and found.clean else 2 * self._limits.batch_events_max

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

    def cleared(self) -> None:
        """Note that a commit deleted the counter."""
        self.stored = False
