"""Folding what was recorded, from a start to a target, telling a watcher of every commit."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from processor.engine.images import Encoded
from processor.engine.positions import MutablePositions
from processor.engine.reduction import Reduction
from processor.engine.values import CommitRecord, Decoded, Head, Outcome, Record
from processor.replay.errors import LogBroken
from processor.replay.fold import Build, Fold, outcomes_of, reducible
from processor.replay.recorded import Recording
from processor.replay.sources import Sources

Way = Literal["folded", "announced", "moved", "upgraded"]
"""How a commit was taken: its events folded, its entities as announced, positions moved only, or bytes made anew."""

MENDED = frozenset({"repair", "rebuild"})
"""Kinds of commits that no event explains: what the entities became is announced."""


class Start(msgspec.Struct, frozen=True):
    """Where folding begins: the state that commit `head.seq` left. No head: the empty state of seq 0."""

    head: Head | None = None
    state: Any = None
    source: str = "the beginning"

    @property
    def seq(self) -> int:
        """The last commit that is in the state."""
        return self.head.seq if self.head else 0


BEGINNING = Start()


class Step(msgspec.Struct, frozen=True):
    """One commit taken: its records, which of them were reduced then (`events`, decoded), and what came out now.

    `comparable`: the digest is over the bytes of the same version as the recorded one.
    """

    commit: CommitRecord
    way: Way
    digest: str
    comparable: bool
    records: Sequence[Record] = ()
    outcomes: Sequence[Outcome] = ()
    events: Sequence[Decoded] = ()
    reduction: Reduction | None = None
    encoded: Encoded | None = None


class Replayed(msgspec.Struct, frozen=True):
    """The state that commit `head.seq` left, with the head that it had as far as the commit log tells.

    `head.digest` is the digest of the state as folded; `used` says in words where folding began.
    """

    state: Any
    head: Head
    used: str
    commits: int
    events: int

    @property
    def seq(self) -> int:
        """The last commit folded."""
        return self.head.seq


Watch = Callable[[Step], None]


def replay_to(
    sources: Sources, build: Build, target: int | None = None, *, start: Start = BEGINNING, watch: Watch | None = None
) -> Replayed:
    """Fold from `start` to the commit `target`, to the end of the log as it is now without.

    Stretches that another version of the state machine made are taken as they were announced. Raises RecordsGone,
    LogBroken (both Unreplayable), SourceUnavailable.
    """
    folding = Folding(build, start)
    positions = start.head.positions if start.head else None
    with Recording(sources, seq=start.seq, positions=positions) as recording:
        for commit in recording.commits(target):
            step = folding.take(commit, recording)
            if watch is not None:
                watch(step)
        return folding.replayed(recording.positions)


class Folding:
    """A fold on its way through the commits."""

    def __init__(self, build: Build, start: Start) -> None:
        self._build = build
        self._start = start
        self._last: CommitRecord | None = None
        self._commits = self._events = 0
        self.fold = Fold(build, start.state)

    def take(self, commit: CommitRecord, recording: Recording) -> Step:
        """Move the fold by the next commit."""
        self._last = commit
        self._commits += 1
        comparable = commit.reducer_version == self._build.machine.version
        if commit.kind == "batch" and comparable:
            return self._reduced(commit, recording.records(commit))
        recording.skip(commit)
        way: Way = "moved"
        if commit.kind == "upgrade":
            way = "upgraded"
        elif commit.kind != "gap":
            self.fold.put(recording.images(commit))
            way = "announced"
        return Step(commit, way, self.fold.digest if comparable else "", comparable)

    def replayed(self, positions: MutablePositions) -> Replayed:
        """Return where the fold has got to."""
        head = _head_after(self._last, self._start.head, positions, self.fold.digest, self._build.machine.version)
        return Replayed(self.fold.state, head, self._start.source, self._commits, self._events)

    def _reduced(self, commit: CommitRecord, records: tuple[Record, ...]) -> Step:
        outcomes = outcomes_of(commit.outcomes)
        if len(outcomes) != len(records):
            raise LogBroken(f"commit {commit.seq} tells {len(outcomes)} outcomes of {len(records)} records")
        kept = records if not commit.dead_lettered else reducible(records, outcomes)
        decode = self._build.decoder.decode
        events = [decode(record) for record in kept]
        self._events += len(events)
        reduction, encoded = self.fold.reduce(events)
        return Step(
            commit=commit,
            way="folded",
            digest=self.fold.digest,
            comparable=True,
            records=records,
            outcomes=outcomes,
            events=events,
            reduction=reduction,
            encoded=encoded,
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
