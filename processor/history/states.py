"""The state at any point: from the store while it still has it, else folded from the recorded events."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from processor.engine.errors import StoreUnavailable
from processor.etcd.failures import HistoryGoneError
from processor.history.commit_log import CommitLog
from processor.history.points import AtOffset, AtRevision, AtSeq, AtTime, Past
from processor.history.stored import StoredStates, View


class StateHistory:
    """The states of one shard at points of its past.

    `store` opens its states in the store, `log` its commit log; `fold` folds the records again up to a seq, 0 being
    the empty state. `note` receives in words why the store was not enough.
    """

    def __init__(
        self,
        store: Callable[[], AbstractContextManager[StoredStates]],
        log: Callable[[], AbstractContextManager[CommitLog]],
        fold: Callable[[int], View],
        note: Callable[[str], None],
    ) -> None:
        self._store = store
        self._log = log
        self._fold = fold
        self._note = note

    def at(self, point: Past) -> View:
        """Return the state at a point.

        Raises SourceUnavailable, ShardRefused, InvalidRequest (no such point, records gone).
        """
        return self._from_store(point) or self.refold(point)

    def refold(self, point: Past) -> View:
        """Fold the records up to a point, whether or not the store still has it."""
        if isinstance(point, AtSeq) and point.seq == 0:
            return self._fold(0)
        with self._log() as log:
            seq = seq_at(log, point)
        return self._fold(seq)

    def _from_store(self, point: Past) -> View | None:
        """Return the state as the store has it; None when it does not, or not as the commit left it."""
        try:
            with self._store() as states:
                view = states.at(point)
        except (HistoryGoneError, StoreUnavailable) as error:
            self._note(f"{error}: the records are folded again")
            return None
        if view.whole or isinstance(point, AtRevision):
            return view
        self._note(f"{view.source} was changed behind the head's back: the records are folded again")
        return None


def seq_at(log: CommitLog, point: Past) -> int:
    """Return the commit that a point stands for. Raises SourceUnavailable, InvalidRequest."""
    match point:
        case AtSeq():
            return log.of_seq(point.seq).seq
        case AtTime():
            return log.at_time(point.time_ms).seq
        case AtOffset():
            return log.at_offset(point.topic, point.partition, point.offset).seq
        case AtRevision():
            return log.at_revision(point.revision).seq
