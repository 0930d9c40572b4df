"""What one step did: the only thing that middleware sees."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import overload

import msgspec

from processor.engine.announcements import CommitKind, Outcome
from processor.engine.inputs import Cause
from processor.engine.intake import Batch
from processor.engine.machine import Change
from processor.engine.reduction import Reduction


class EventReport(msgspec.Struct, frozen=True):
    """One event and its outcome; `code` and `message` tell why it was rejected or dead-lettered."""

    cause: Cause
    outcome: Outcome
    at_ms: int
    code: str = ""
    message: str = ""


class PhaseSeconds(msgspec.Struct, frozen=True):
    """How long the phases of preparing a batch took; `reduce` includes the difference of the states."""

    poll: float
    decode: float
    reduce: float
    encode: float


class Tally(msgspec.Struct, frozen=True):
    """Events counted: (topic, type, outcome) → how many, and topic → at_ms → how many."""

    outcomes: Counter[tuple[str, str, Outcome]]
    times: dict[str, Counter[int]]


class Events(Sequence[EventReport]):
    """The reports of a step's events, made when somebody looks at one: most steps are only counted.

    A batch may go on beyond its reduction: what follows was left to the next commit.
    """

    def __init__(self, batches: Sequence[tuple[Batch, Reduction]] = ()) -> None:
        self._batches = batches
        self._reports: tuple[EventReport, ...] | None = None

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return the outcomes alone, in order."""
        return tuple(chain.from_iterable([reduction.outcomes for _, reduction in self._batches]))

    def tally(self) -> Tally:
        """Return the events counted."""
        outcomes: Counter[tuple[str, str, Outcome]] = Counter()
        times: dict[str, Counter[int]] = {}
        for batch, reduction in self._batches:
            causes = [item.cause for item in batch.decoded]
            outcomes.update(
                [
                    (cause.topic, cause.event_type, outcome)
                    for cause, outcome in zip(causes, reduction.outcomes, strict=False)
                ]
            )
            records = batch.records[: len(reduction.outcomes)]
            for topic in {record.topic for record in records}:
                at_ms = [record.timestamp_ms for record in records if record.topic == topic]
                times.setdefault(topic, Counter()).update(at_ms)
        return Tally(outcomes, times)

    def __len__(self) -> int:
        return sum([len(reduction.outcomes) for _, reduction in self._batches])

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
            self._reports = tuple([report for pair in self._batches for report in _reports_of(*pair)])
        return self._reports


def _reports_of(batch: Batch, reduction: Reduction) -> Iterator[EventReport]:
    """Yield a report an event, in the order in which they were reduced."""
    refused = {index: (item.code, item.message) for index, item in reduction.rejections}
    refused |= {index: (item.code, item.message) for index, item in reduction.dead}
    for index, outcome in enumerate(reduction.outcomes):
        cause, at_ms = batch.decoded[index].cause, batch.records[index].timestamp_ms
        yield EventReport(cause, outcome, at_ms, *refused.get(index, ()))


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


def tally(events: Sequence[EventReport]) -> Tally:
    """Return the events of a step counted; of those that the engine made no report is needed for it."""
    if isinstance(events, Events):
        return events.tally()
    times: dict[str, Counter[int]] = {}
    for event in events:
        times.setdefault(event.cause.topic, Counter())[event.at_ms] += 1
    return Tally(Counter([(event.cause.topic, event.cause.event_type, event.outcome) for event in events]), times)


def outcomes_of(events: Sequence[EventReport]) -> tuple[Outcome, ...]:
    """Return the outcomes of a step's events, in order; no report is needed for them either."""
    return events.outcomes() if isinstance(events, Events) else tuple([event.outcome for event in events])


Middleware = Callable[[StepReport], None]
