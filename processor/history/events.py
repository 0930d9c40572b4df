"""The events behind a commit: read from the inputs as far as they are kept, with their outcomes and whom they name."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain, islice, repeat, takewhile
from typing import Any

import msgspec

from processor.client.codec import DecodedRecord
from processor.engine.announcements import Role
from processor.engine.inputs import Record
from processor.engine.outputs import CE_ID
from processor.history.commit_log import Log

EVENTS_MAX = 10_000
"""How many events of a commit are read; one that carries along no-ops may have far more."""

Effects = Callable[[int, list[Record], str], "list[tuple[str, ...]] | None"]
"""(seq, the records that it applied in their order, `<kind>/<name>`) → for each record the fields of the entity that it
changed, () for none; None: it cannot be told."""


class Sources(msgspec.Struct, frozen=True):
    """Where a history is read: topics by role, how one is opened by name, how a record is decoded.

    `effects` tells what the events of one commit did to an entity.
    """

    topics: Mapping[Role, str]
    open: Callable[[str], AbstractContextManager[Log]]
    decode: Callable[[Record], DecodedRecord]
    effects: Effects = lambda _seq, _records, _key: None


class ReducedEvent(msgspec.Struct, frozen=True):
    """One input record and its outcome; `value` is its data, `error` why it cannot be decoded. A JSON shape."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    id: str
    type: str
    outcome: str
    value: Any
    error: str = ""


class ReducedEvents(msgspec.Struct, frozen=True):
    """The events of a range that are known; `missing` says in sentences what is not shown, and why."""

    events: tuple[ReducedEvent, ...] = ()
    missing: tuple[str, ...] = ()


def reduced_by(
    commit: Mapping[str, Any], span: Mapping[str, Any], log: Log, decode: Any, *, events_max: int = EVENTS_MAX
) -> ReducedEvents:
    """Return the events of one of a commit's ranges in their order, at most `events_max`.

    Retention removes the beginning of a range, so outcomes are counted from its end.
    """
    partition, start, end, count = span["partition"], span["from"], span["to"], span["count"]
    if not count:
        return ReducedEvents()
    low = log.watermarks()[partition].low
    records = list(islice(between(log, partition, max(start, low), end), events_max)) if low < end else []
    where = f"{span['topic']}[{partition}] {start} to {end - 1}"
    if low <= start:
        known, gone = outcomes_of(commit, span), 0
    else:
        kept = len(records) if len(records) < events_max else _count(log, partition, low, end)
        gone = max(0, count - kept)
        known = islice(outcomes_of(commit, span), gone, None)
    events = tuple(_event(decode(record), outcome) for record, outcome in zip(records, known, strict=False))
    missing = [f"{where}: {gone} of {count} events are gone, retention took them"] if gone else []
    if left_out := count - gone - len(events):
        missing.append(f"{where}: {left_out} more events are not shown")
    return ReducedEvents(events, tuple(missing))


def outcomes_of(commit: Mapping[str, Any], span: Mapping[str, Any]) -> Iterator[str]:
    """Yield the outcome of each record of a range; the commit's runs count through all of its ranges in order."""
    spans = commit["ranges"]
    before = sum(other["count"] for other in spans[: spans.index(span)])
    runs = chain.from_iterable(repeat(run["outcome"], run["count"]) for run in commit["outcomes"])
    return islice(runs, before, before + span["count"])


def between(log: Log, partition: int, start: int, end: int) -> Iterable[Record]:
    """Return the records of a partition at offsets from `start` inclusive to `end` exclusive."""
    return takewhile(lambda record: record.offset < end, log.until_end({partition: start}))


def names(key: str, event_type: str, data: Any) -> bool:
    """Tell whether an event names the entity `<kind>/<name>`; a failure is named by naming what failed."""
    kind, _, name = key.removeprefix("failure/").partition("/")
    if not isinstance(data, Mapping):
        return False
    if kind == "policy":
        return event_type == "PolicyChanged"
    if kind == "responder":
        return bool(f"{data.get('role')}/{data.get('responder')}" == name)
    return bool(data.get(kind) == name)


def event_id_of(record: DecodedRecord) -> str:
    """Return an event's id: its own, else its place."""
    stated = dict(record.headers).get(CE_ID)
    return stated or f"{record.topic}-{record.partition}-{record.offset}"


def event_type_of(record: DecodedRecord) -> str:
    """Return an event's type without its namespace."""
    return record.type.rpartition(".")[2]


def _count(log: Log, partition: int, low: int, end: int) -> int:
    return sum(1 for _ in between(log, partition, low, end))


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
