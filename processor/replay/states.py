"""The state at any point of a shard's past, and before any commit, on real servers."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Self

from msgspec.structs import replace

from processor.engine.errors import InvalidRequest, Retry, ShardRefused, StoreUnavailable
from processor.etcd.failures import HistoryGoneError
from processor.history.commit_log import opened_once, seq_at
from processor.history.points import AtRevision, AtSeq, Past
from processor.history.stored import StoredStates, View
from processor.replay.replaying import Progress, Start, counting, replay_to
from processor.replay.sources import Sources
from processor.replay.wiring import ShardPast

FOLDED_FOR_CAUSES_MAX = 10_000
"""How many commits are folded at most to learn the state that a commit was built on."""


class StateHistory:
    """The states of one shard at points of its past: from the store while it still has them, else folded again.

    `note` receives in words why the store was not enough.
    """

    def __init__(self, past: ShardPast, note: Callable[[str], None], progress: Progress) -> None:
        self._past = past
        self._note = note
        self._progress = progress

    def at(self, point: Past) -> View:
        """Return the state at a point.

        Raises SourceUnavailable, ShardRefused, InvalidRequest (no such point, records gone).
        """
        return self._from_store(point) or self.refold(point)

    def refold(self, point: Past) -> View:
        """Fold the records up to a point, whether or not the store still has it."""
        if isinstance(point, AtSeq) and point.seq == 0:
            return self._fold(0)
        with self._past.commit_log() as log:
            seq = seq_at(log, point)
        return self._fold(seq)

    def _from_store(self, point: Past) -> View | None:
        """Return the state as the store has it; None when it does not, or not as the commit left it."""
        try:
            with self._past.stored_states() as states:
                view = states.at(point)
        except (HistoryGoneError, StoreUnavailable) as error:
            self._note(f"{error}: the records are folded again")
            return None
        if view.whole or isinstance(point, AtRevision):
            return view
        self._note(f"{view.source} was changed without its head: the records are folded again")
        return None

    def _fold(self, seq: int) -> View:
        with Refolder(self._past, self._progress) as refolder:
            return refolder(seq)


class Refolder:
    """Folds the recorded events of a shard up to a commit, going on from its last result where that is nearest.

    A context: it keeps its connections to the brokers.
    """

    def __init__(self, past: ShardPast, progress: Progress) -> None:
        self._past = past
        self._progress = progress
        self._last: Start | None = None
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __call__(self, seq: int, *, commits_max: int | None = None) -> View:
        """Return the state that a commit left.

        Raises Unreplayable, SourceUnavailable, InvalidRequest (more than `commits_max` commits to fold).
        """
        start = self._start(seq)
        commits = seq - start.seq
        if commits_max is not None and commits > commits_max:
            raise InvalidRequest(f"{commits} commits would have to be folded")
        watch = counting(self._progress, commits)
        replayed = replay_to(self._sources, self._past.build, seq, start=start, watch=watch)
        head = replayed.head
        self._last = Start(head, replayed.state, start.source)
        return View(
            state=replayed.state,
            seq=head.seq,
            committed_ms=head.committed_ms,
            digest=head.digest,
            head_digest=replayed.recorded_digest,
            source=f"the records, folded again from {start.source} ({replayed.commits} commits)",
        )

    @cached_property
    def _sources(self) -> Sources:
        sources = self._past.sources
        return replace(sources, open=opened_once(sources.open, self._opened))

    def _start(self, seq: int) -> Start:
        """Return the nearest place to begin at: where the last fold ended, a periodic snapshot, or the beginning."""
        last = self._last
        if last is not None and last.seq == seq:
            return last
        kept = self._past.snapshots.nearest(seq, self._past.build)
        return last if last is not None and kept.seq <= last.seq <= seq else kept


class StatesBefore:
    """The states that commits were built on; ask in ascending order, so that each fold goes on from the one before.

    A context: it keeps its connections.
    """

    def __init__(self, past: ShardPast, progress: Progress) -> None:
        self._past = past
        self._opened = ExitStack()
        self._stored: StoredStates | None = None
        self._refold = self._opened.enter_context(Refolder(past, progress))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __call__(self, seq: int) -> Any:
        """Return the state before a commit, None where neither the store nor the records have it."""
        for state_at in (self._from_store, self._from_records):
            try:
                view = state_at(seq - 1)
            except (InvalidRequest, Retry, ShardRefused):
                continue
            if view.whole:
                return view.state
        return None

    def _from_store(self, seq: int) -> View:
        if self._stored is None:
            self._stored = self._opened.enter_context(self._past.stored_states())
        return self._stored.at(AtSeq(seq))

    def _from_records(self, seq: int) -> View:
        return self._refold(seq, commits_max=FOLDED_FOR_CAUSES_MAX)
