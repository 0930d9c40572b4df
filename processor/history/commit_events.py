"""The events that one commit reduced, in the order in which it did, as far as they are still kept."""

from collections.abc import Iterator, Mapping
from itertools import chain, islice, repeat
from typing import Any

import msgspec

from processor.client.codec import DecodedRecord
from processor.history.commit_log import Log
from processor.history.topics import between, event_id_of, event_type_of

EVENTS_MAX = 10_000
"""So many events of a commit are told; one that carries along what changed nothing may have far more."""


class ReducedEvent(msgspec.Struct, frozen=True):
    """One input record and what came of it; `value` is its data, `error` why it cannot be decoded."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    id: str
    type: str
    outcome: str
    value: Any
    error: str = ""


class Reduced(msgspec.Struct, frozen=True):
    """What is known of a commit's events; `missing` says in sentences what is not shown, and why."""

    events: tuple[ReducedEvent, ...] = ()
    missing: tuple[str, ...] = ()


def reduced_by(
    commit: Mapping[str, Any], span: Mapping[str, Any], log: Log, decode: Any, *, events_max: int = EVENTS_MAX
) -> Reduced:
    """Return the events of one of a commit's ranges, at most `events_max`.

    What retention took is the beginning of a range, so outcomes are counted from its end.
    """
    partition, start, end, count = span["partition"], span["from"], span["to"], span["count"]
    if not count:
        return Reduced()
    low = log.watermarks()[partition].low
    records = list(islice(between(log, partition, max(start, low), end), events_max)) if low < end else []
    where = f"{span['topic']}[{partition}] {start} to {end - 1}"
    if low <= start:
        known, gone = _outcomes(commit, span), 0
    else:
        kept = len(records) if len(records) < events_max else _count(log, partition, low, end)
        gone = max(0, count - kept)
        known = islice(_outcomes(commit, span), gone, None)
    told = tuple(_event(decode(record), outcome) for record, outcome in zip(records, known, strict=False))
    missing = [f"{where}: {gone} of {count} events are gone, retention took them"] if gone else []
    if left_out := count - gone - len(told):
        missing.append(f"{where}: {left_out} more events are not shown")
    return Reduced(told, tuple(missing))


def _count(log: Log, partition: int, low: int, end: int) -> int:
    return sum(1 for _ in between(log, partition, low, end))


def _outcomes(commit: Mapping[str, Any], span: Mapping[str, Any]) -> Iterator[str]:
    """Yield the outcome of each record of a range: the runs go over all ranges in their order."""
    spans = commit["ranges"]
    before = sum(other["count"] for other in spans[: spans.index(span)])
    runs = chain.from_iterable(repeat(run["outcome"], run["count"]) for run in commit["outcomes"])
    return islice(runs, before, before + span["count"])


def _event(record: DecodedRecord, outcome: str) -> ReducedEvent:
    return ReducedEvent(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp_ms,
        id=event_id_of(record),
        type=event_type_of(record) or "unknown",
        outcome=outcome,
        value=record.value,
        error=record.error,
    )
