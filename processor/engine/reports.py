"""What one step did: the only thing that middleware sees."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import overload

import msgspec

from processor.engine.machine import Change
from processor.engine.values import Cause, CommitKind, Decoded, Outcome, Record


class EventReport(msgspec.Struct, frozen=True):
    """One event and its outcome; `code` and `message` tell why it was rejected or dead-lettered."""

    cause: Cause
    outcome: Outcome
    at_ms: int
    code: str = ""
    message: str = ""


class Reduced(msgspec.Struct, frozen=True):
    """The events of one batch that a commit took: `whys` has code and message of those that were put aside, by index.

    `records` and `decoded` may go on beyond `outcomes`: what follows was left to the next commit.
    """

    records: tuple[Record, ...]
    decoded: tuple[Decoded, ...]
    outcomes: tuple[Outcome, ...]
    whys: Mapping[int, tuple[str, str]]

    def reports(self) -> Iterator[EventReport]:
        """Yield a report an event, in the order in which they were reduced."""
        for index, outcome in enumerate(self.outcomes):
            cause, at_ms = self.decoded[index].cause, self.records[index].timestamp_ms
            yield EventReport(cause, outcome, at_ms, *self.whys.get(index, ()))


class Events(Sequence[EventReport]):
    """The reports of a step's events, made when somebody looks at one: most steps are only counted."""

    def __init__(self, batches: Sequence[Reduced] = ()) -> None:
        self._batches = batches
        self._reports: tuple[EventReport, ...] | None = None

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return the outcomes alone, in order."""
        return tuple(chain.from_iterable([batch.outcomes for batch in self._batches]))

    def __len__(self) -> int:
        return sum([len(batch.outcomes) for batch in self._batches])

    @overload
    def __getitem__(self, index: int) -> EventReport: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[EventReport]: ...
    def __getitem__(self, index: int | slice) -> EventReport | Sequence[EventReport]:
        return self._made()[index]

    def __iter__(self) -> Iterator[EventReport]:
        return iter(self._made())

    def _made(self) -> tuple[EventReport, ...]:
        if self._reports is None:
            self._reports = tuple([report for batch in self._batches for report in batch.reports()])
        return self._reports


class StepReport(msgspec.Struct, frozen=True, kw_only=True):
    """One step, reported once its commit is known: events that changed nothing come with the next commit.

    `seconds` has a duration a phase: poll, decode, reduce (with diff), encode, commit. `overtook` counts the high
    records that went before waiting normal ones.
    """

    shard: int
    epoch: int
    seq: int
    kind: CommitKind = "batch"
    committed_ms: int
    events: Sequence[EventReport] = ()
    changes: tuple[Change, ...] = ()
    announcement_types: tuple[str, ...] = ()
    high: int = 0
    overtook: int = 0
    guard: bool = False
    conflicts: int = 0
    resends: int = 0
    digest: str = ""
    seconds: Mapping[str, float] = {}


Middleware = Callable[[StepReport], None]
