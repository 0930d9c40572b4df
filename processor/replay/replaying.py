"""Folding what was recorded, from a start to a target, with a Step for the watcher after every commit."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from processor.engine.announcements import CommitRecord, Outcome
from processor.engine.inputs import Decoded, Positions, Record
from processor.engine.positions import MutablePositions
from processor.engine.reduction import Reduction
from processor.engine.sizes import UNLIMITED, SizeLimits
from processor.engine.values import Head
from processor.replay.errors import LogBroken
from processor.replay.fold import Build, Fold, limits_of, reducible
from processor.replay.recording import RecordedCommit, Recording
from processor.replay.sources import Sources

Way = Literal["folded", "announced", "moved", "upgraded"]
"""How a commit was taken: events folded, entities as announced, positions only, or bytes encoded anew."""


class Start(msgspec.Struct, frozen=True):
    """Where folding begins: the state that commit `head.seq` left; without a head the empty state of seq 0."""

    head: Head | None = None
    state: Any = None
    source: str = "the beginning"

    @property
    def seq(self) -> int:
        """The last commit that is in the state."""
        return self.head.seq if self.head else 0

    @property
    def positions(self) -> Positions:
        """Where the inputs are read from; empty: from their beginning."""
        return self.head.positions if self.head else {}


BEGINNING = Start()


class Step(msgspec.Struct, frozen=True):
    """One commit as folded: its records with their recorded outcomes, the decoded events, and what they did now.

    `comparable`: the digest is over bytes of the same version as the recorded one. `removed`: keys of entities that
    were deleted by hand, as far as the digest shows.
    """

    commit: CommitRecord
    way: Way
    digest: str
    comparable: bool
    records: Sequence[Record] = ()
    outcomes: Sequence[Outcome] = ()
    events: Sequence[Decoded] = ()
    reduction: Reduction | None = None
    removed: tuple[str, ...] = ()


class Replayed(msgspec.Struct, frozen=True):
    """The state that commit `head.seq` left, with its head as far as the commit log records it.

    `head.digest` is the digest of the state as folded, `recorded_digest` the one that its commit recorded, the same
    where the two cannot be compared. `used` says in words where folding began.
    """

    state: Any
    head: Head
    recorded_digest: str
    used: str
    commits: int
    events: int

    @property
    def seq(self) -> int:
        """The last commit folded."""
        return self.head.seq


Watch = Callable[[Step], None]
Progress = Callable[[int, int, int], None]
"""(commits folded, of how many, events so far), called after each commit."""
Edit = Callable[[CommitRecord, Sequence[Decoded]], Sequence[Decoded]]
"""(commit, its events) → the events to reduce instead."""


def replay_to(
    sources: Sources, build: Build, target: int | None = None, *, start: Start = BEGINNING, watch: Watch | None = None
) -> Replayed:
    """Fold from `start` to the commit `target`, by default to the present end of the log.

    Commits of another version of the state machine are taken as they were announced. Raises RecordsGone,
    LogBroken (both Unreplayable), SourceUnavailable.
    """
    folding = Folding(build, start)
    with Recording(sources, seq=start.seq, positions=start.positions) as recording:
        _fold(folding, recording, target, watch)
        return folding.replayed(recording.positions)


def refold(sources: Sources, build: Build, start: Start, target: int, *, watch: Watch | None = None) -> Any:
    """Return the state at commit `target` as this build alone makes it from the recorded events.

    Events of every version are reduced by this build. Edits by hand (commits of kind repair) are taken as announced,
    removals as far as the digest shows them. Commits of kind rebuild are left out: they announced what their builds
    made of the same events. Dead letters stay dead letters. Raises SourceUnavailable, RecordsGone, LogBroken.
    """
    folding = Folding(build, start, every_version=True, rebuilds=False)
    with Recording(sources, seq=start.seq, positions=start.positions) as recording:
        _fold(folding, recording, target, watch)
    return folding.fold.state


def counting(progress: Progress, commits: int, *watches: Watch) -> Watch:
    """Return a watcher that reports how many of the `commits` and their events are folded, and tells the others."""
    done = events = 0

    def watch(step: Step) -> None:
        nonlocal done, events
        done += 1
        events += len(step.events)
        progress(done, commits, events)
        for other in watches:
            other(step)

    return watch


def _fold(folding: "Folding", recording: Recording, target: int | None, watch: Watch | None) -> None:
    for recorded in recording.commits(target):
        step = folding.take(recorded)
        if watch is not None:
            watch(step)


class Folding:
    """A fold that takes one commit after the other, each in the way that its kind and version ask for.

    `every_version`: events of every version are folded, instead of taking what another version announced. Without
    `rebuilds` commits of that kind change nothing. With `edit` other events are reduced than those that were recorded.
    """

    def __init__(
        self,
        build: Build,
        start: Start,
        *,
        every_version: bool = False,
        rebuilds: bool = True,
        edit: Edit | None = None,
    ) -> None:
        self._build = build
        self._start = start
        self._fold_all = every_version
        self._rebuilds = rebuilds
        self._edit = edit
        self._last: CommitRecord | None = None
        self._commits = self._events = 0
        self.fold = Fold(build, start.state)

    def take(self, recorded: RecordedCommit) -> Step:
        """Move the fold by the next commit."""
        commit = self._last = recorded.commit
        self._commits += 1
        comparable = commit.reducer_version == self._build.machine.version
        if commit.kind == "batch" and (comparable or self._fold_all or not self._is_announced(recorded)):
            return self._reduced(recorded, comparable=comparable)
        way: Way = "moved"
        removed: tuple[str, ...] = ()
        if commit.kind == "upgrade":
            way = "upgraded"
        elif commit.kind != "gap" and (self._rebuilds or commit.kind != "rebuild"):
            self.fold.put(recorded.images)
            if (comparable or self._fold_all) and self._edit is None and self.fold.digest != commit.digest.hex():
                removed = self.fold.remove_towards(commit.digest.hex())
            way = "announced"
        return Step(commit, way, self.fold.digest if comparable else "", comparable, removed=removed)

    @property
    def limits(self) -> SizeLimits:
        """The limits that the last commit was made with."""
        return UNLIMITED if self._last is None else limits_of(self._last)

    def replayed(self, positions: MutablePositions) -> Replayed:
        """Return what is folded so far."""
        last, version = self._last, self._build.machine.version
        head = _head_after(last, self._start.head, positions, self.fold.digest, version)
        recorded = last.digest.hex() if last is not None and last.reducer_version == version else head.digest
        return Replayed(self.fold.state, head, recorded, self._start.source, self._commits, self._events)

    def _is_announced(self, recorded: RecordedCommit) -> bool:
        """Tell whether a commit's announcements are still kept; once they are not, events are folded."""
        try:
            return recorded.images is not None
        except LogBroken:
            self._fold_all = True
            return False

    def _reduced(self, recorded: RecordedCommit, *, comparable: bool) -> Step:
        commit, records, outcomes = recorded.commit, recorded.records, recorded.outcomes
        kept = records if not commit.dead_lettered else reducible(records, outcomes)
        decode = self._build.decoder.decode
        events: Sequence[Decoded] = [decode(record) for record in kept]
        if self._edit is not None:
            events = self._edit(commit, events)
        self._events += len(events)
        reduction = self.fold.reduce(events, limits_of(commit))
        return Step(
            commit=commit,
            way="folded",
            digest=self.fold.digest,
            comparable=comparable,
            records=records,
            outcomes=outcomes,
            events=events,
            reduction=reduction,
        )


def _head_after(
    last: CommitRecord | None, before: Head | None, positions: MutablePositions, digest: str, version: int
) -> Head:
    topics = before.topics if before else {}
    if last is None:
        return before or Head(0, 0, "", 0, positions, {}, digest, version)
    return Head(
        seq=last.seq,
        epoch=last.epoch,
        commit_id="",
        committed_ms=last.committed_ms,
        positions=positions,
        topics=topics,
        digest=digest,
        reducer_version=version,
        announcements=last.first_number + last.announcements,
    )
