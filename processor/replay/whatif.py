"""Two folds side by side over one recording: what was recorded, and what would have come of something else.

Both reduce the events of every version with a build of now; edits by hand are taken over by both.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from processor.engine.announcements import CommitRecord
from processor.engine.inputs import Decoded
from processor.replay.fold import Build
from processor.replay.recording import Recording
from processor.replay.replaying import Folding, Replayed, Start, Step
from processor.replay.sources import Sources

TURNS_MAX = 100
"""How many events with another outcome are kept; more are counted."""


class Changed(msgspec.Struct, frozen=True):
    """Other events than the recorded ones: without some, by id, and with `extra` right after commit `after_seq`."""

    without: frozenset[str] = frozenset()
    extra: tuple[Decoded, ...] = ()
    after_seq: int = 0


class Turn(msgspec.Struct, frozen=True):
    """An event that another thing happens to."""

    seq: int
    event_id: str
    type: str
    recorded: str
    instead: str


class WhatIf(msgspec.Struct, frozen=True):
    """Both ends.

    `parted` is the first commit with another digest, None: there is none; `joined` the one from which on all digests
    agree again, None: they do not.
    """

    actual: Replayed
    other: Replayed
    parted: int | None
    joined: int | None
    left_out: int
    extra_outcomes: tuple[str, ...]
    turns: tuple[Turn, ...]
    turned: int


def what_if(  # noqa: PLR0913 - each is a part handed in, those with a default by keyword
    sources: Sources,
    build: Build,
    instead: Build,
    target: int,
    *,
    start: Start,
    changed: Changed,
    watch: Callable[[Step], None],
) -> WhatIf:
    """Fold up to `target` with `build`, and beside it with `instead` and other events. Raises as `replay_to`."""
    edits = _Edits(changed)
    actual = Folding(build, start, every_version=True)
    other = Folding(instead, start, every_version=True, edit=edits)
    comparison = _Comparison()
    with Recording(sources, seq=start.seq, positions=start.positions) as recording:
        for recorded in recording.commits(target):
            step, beside = actual.take(recorded), other.take(recorded)
            other.fold.put((key, None) for key in step.removed)
            edits.heard(beside)
            comparison.see(step, beside, agree=actual.fold.digest == other.fold.digest)
            watch(step)
        if rest := edits.rest():
            edits.outcomes = other.fold.reduce(rest, other.limits).outcomes
            comparison.note(target + 1, agree=actual.fold.digest == other.fold.digest)
        return WhatIf(
            actual=actual.replayed(recording.positions),
            other=other.replayed(recording.positions),
            parted=comparison.parted,
            joined=comparison.joined,
            left_out=edits.left_out,
            extra_outcomes=tuple(edits.outcomes),
            turns=tuple(comparison.turns),
            turned=comparison.turned,
        )


class _Edits:
    """Other events, commit by commit."""

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self._waiting: Sequence[Decoded] = changed.extra
        self._put_in = 0
        self.left_out = 0
        self.outcomes: Sequence[str] = ()

    def __call__(self, commit: CommitRecord, events: Sequence[Decoded]) -> Sequence[Decoded]:
        """Return the events to reduce instead of a commit's."""
        kept = [event for event in events if event.cause.event_id not in self._changed.without]
        self.left_out += len(events) - len(kept)
        self._put_in = 0
        if self._waiting and commit.seq > self._changed.after_seq:
            self._put_in = len(self._waiting)
            return [*self.rest(), *kept]
        return kept

    def rest(self) -> Sequence[Decoded]:
        """Return, once, what was not put in yet."""
        waiting, self._waiting = self._waiting, ()
        return waiting

    def heard(self, step: Step) -> None:
        """Remember what became of the events put in."""
        if self._put_in and step.reduction is not None:
            self.outcomes = step.reduction.outcomes[: self._put_in]
            self._put_in = 0


class _Comparison:
    """Where two folds part and join again."""

    def __init__(self) -> None:
        self.parted: int | None = None
        self.joined: int | None = None
        self.turns: list[Turn] = []
        self.turned = 0

    def see(self, step: Step, beside: Step, *, agree: bool) -> None:
        """Compare one commit."""
        self.note(step.commit.seq, agree=agree)
        for turn in _turns(step, beside):
            self.turned += 1
            if len(self.turns) < TURNS_MAX:
                self.turns.append(turn)

    def note(self, seq: int, *, agree: bool) -> None:
        """Note whether the digests agree after a commit."""
        if not agree:
            self.parted = seq if self.parted is None else self.parted
            self.joined = None
        elif self.parted is not None and self.joined is None:
            self.joined = seq


def _turns(step: Step, beside: Step) -> Iterator[Turn]:
    if step.reduction is None or beside.reduction is None or step.reduction.outcomes == beside.reduction.outcomes:
        return
    recorded = {_place(event): outcome for event, outcome in zip(step.events, step.reduction.outcomes, strict=True)}
    for event, outcome in zip(beside.events, beside.reduction.outcomes, strict=True):
        before = recorded.get(_place(event), outcome)
        if before != outcome:
            cause = event.cause
            yield Turn(step.commit.seq, cause.event_id, cause.event_type, before, outcome)


def _place(event: Decoded) -> tuple[str, int, int]:
    return event.cause.topic, event.cause.partition, event.cause.offset
