"""Another history: two folds over one recording, one of what was recorded, one with other events or another reducer.

Both reduce the events of every version by a present build, so that what differs comes from the edit and not from an
older version. Commit by commit, the second fold reduces the same records under the same limits, without the events that
are left out and with the extra ones before the events of the commit that follows `after_seq`; what follows the last
commit forms a batch of its own. Both take edits by hand as announced, and the second removes what the digest of the
first shows to have been deleted. Announcements cannot be compared, because the other history has none: its digests are.

The other history is one that the same batches could have led to. It says nothing about time: the events keep the times
at which they were recorded.
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


class EventEdits(msgspec.Struct, frozen=True):
    """Edits of the recorded events: without those of some ids, and with `extra` right after commit `after_seq`."""

    without: frozenset[str] = frozenset()
    extra: tuple[Decoded, ...] = ()
    after_seq: int = 0


class Turn(msgspec.Struct, frozen=True):
    """An event whose outcome differs: `recorded` by the first fold, `instead` by the other. A JSON shape."""

    seq: int
    event_id: str
    type: str
    recorded: str
    instead: str


class WhatIf(msgspec.Struct, frozen=True):
    """Both folds at their end.

    `parted` is the first commit with another digest, None if there is none; `joined` the one from which on all digests
    agree again, None if they do not. `left_out` counts events, `extra_outcomes` are those of the extra events, `turns`
    the first TURNS_MAX of `turned` events with another outcome.
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
    edits: EventEdits,
    watch: Callable[[Step], None],
) -> WhatIf:
    """Fold up to `target` with `build`, and beside it with `instead` and edited events. Raises as `replay_to`."""
    editor = _EventEditor(edits)
    actual = Folding(build, start, every_version=True)
    other = Folding(instead, start, every_version=True, edit=editor)
    comparison = _Comparison()
    with Recording(sources, seq=start.seq, positions=start.positions) as recording:
        for recorded in recording.commits(target):
            step, beside = actual.take(recorded), other.take(recorded)
            other.fold.put((key, None) for key in step.removed)
            editor.note_outcomes(beside)
            comparison.see(step, beside, agree=actual.fold.digest == other.fold.digest)
            watch(step)
        if rest := editor.rest():
            editor.outcomes = other.fold.reduce(rest, other.limits).outcomes
            comparison.note(target + 1, agree=actual.fold.digest == other.fold.digest)
        return WhatIf(
            actual=actual.replayed(recording.positions),
            other=other.replayed(recording.positions),
            parted=comparison.parted,
            joined=comparison.joined,
            left_out=editor.left_out,
            extra_outcomes=tuple(editor.outcomes),
            turns=tuple(comparison.turns),
            turned=comparison.turned,
        )


class _EventEditor:
    """Edits the events of each commit, and remembers what came of the extra ones."""

    def __init__(self, edits: EventEdits) -> None:
        self._edits = edits
        self._waiting: Sequence[Decoded] = edits.extra
        self._extra_count = 0
        self.left_out = 0
        self.outcomes: Sequence[str] = ()

    def __call__(self, commit: CommitRecord, events: Sequence[Decoded]) -> Sequence[Decoded]:
        """Return the events to reduce instead of a commit's."""
        kept = [event for event in events if event.cause.event_id not in self._edits.without]
        self.left_out += len(events) - len(kept)
        self._extra_count = 0
        if self._waiting and commit.seq > self._edits.after_seq:
            self._extra_count = len(self._waiting)
            return [*self.rest(), *kept]
        return kept

    def rest(self) -> Sequence[Decoded]:
        """Return, once, the extra events that are not reduced yet."""
        waiting, self._waiting = self._waiting, ()
        return waiting

    def note_outcomes(self, step: Step) -> None:
        """Keep the outcomes of the extra events, where this step reduced them."""
        if self._extra_count and step.reduction is not None:
            self.outcomes = step.reduction.outcomes[: self._extra_count]
            self._extra_count = 0


class _Comparison:
    """Finds where two folds part and join again."""

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
