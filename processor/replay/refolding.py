"""Folding what was recorded with this build alone, whatever build recorded it."""

from collections.abc import Callable
from typing import Any

from processor.engine.announcements import CommitRecord
from processor.engine.values import Head
from processor.replay.fold import Build, Fold, limits_of, outcomes_of, reducible
from processor.replay.recorded import Recording
from processor.replay.sources import Sources

Watch = Callable[[CommitRecord, int], None]
"""Hears of each commit taken, and how many of its events this build failed to reduce."""


def refold(sources: Sources, build: Build, watch: Watch, *, state: Any, head: Head | None, target: int) -> Any:
    """Return the state at commit `target`, from the state at `head` on; without a head from the empty one.

    Events are reduced by this build, those of upgraded stretches too. What was edited by hand (kind repair) is taken as
    it was announced, and what was taken away as far as the digest tells. What earlier rebuilds announced is left out,
    because it told what their builds made of the same events. What was put aside then (dead letters) stays aside.

    Raises SourceUnavailable, RecordsGone, LogBroken.
    """
    fold = Fold(build, state)
    positions = head.positions if head else None
    with Recording(sources, seq=head.seq if head else 0, positions=positions) as recording:
        for commit in recording.commits(target):
            watch(commit, _take(fold, build, recording, commit))
    return fold.state


def _take(fold: Fold, build: Build, recording: Recording, commit: CommitRecord) -> int:
    if commit.kind == "batch":
        records = reducible(recording.records(commit), outcomes_of(commit.outcomes))
        reduction = fold.reduce([build.decoder.decode(record) for record in records], limits_of(commit))
        return len(reduction.dead)
    recording.skip(commit)
    if commit.kind == "repair":
        fold.put(recording.images(commit))
        if fold.digest != commit.digest.hex():
            fold.remove_towards(commit.digest.hex())
    return 0
