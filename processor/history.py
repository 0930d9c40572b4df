"""What happened to one entity of late: its newest announcements, the commits that made them, and those commits' events.

Everything is bounded: announcements looked at, commits told, events read of a commit.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain, islice, repeat, takewhile
from typing import Any, Protocol

import msgspec

from processor.clients import DecodedRecord
from processor.engine.values import Record, Role

ANNOUNCEMENTS_MAX = 20_000
CHUNK_OFFSETS = 2_000
EVENTS_READ_MAX = 5_000
EVENTS_TOLD_MAX = 20


class Extent(Protocol):
    """What a partition holds: offsets from `low` inclusive to `high` exclusive."""

    @property
    def low(self) -> int:
        """First offset."""

    @property
    def high(self) -> int:
        """Offset after the last one."""


class Reader(Protocol):
    """Reads one topic, committed records only."""

    def extents(self) -> Mapping[int, Extent]:
        """Return what each partition holds now."""

    def until_end(self, starts: Mapping[int, int]) -> Iterator[Record]:
        """Yield what stands from these offsets to the partitions' ends of now."""

    def search(self, partition: int, rank: Callable[[Record], int], wanted: int) -> Record | None:
        """Return the first record of a partition whose rank, which never falls, is `wanted` or more."""


class Sources(msgspec.Struct, frozen=True):
    """Where a history is read: topics by role, how one is opened by name, how a record is decoded."""

    topics: Mapping[Role, str]
    open: Callable[[str], AbstractContextManager[Reader]]
    decode: Callable[[Record], DecodedRecord]


class AppliedEvent(msgspec.Struct, frozen=True):
    """An event that changed the state; `named`: it names the entity itself."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    type: str
    data: Any
    named: bool


class Episode(msgspec.Struct, frozen=True):
    """One commit that changed the entity.

    `events` of that commit which changed the state, in their order, at most EVENTS_TOLD_MAX, those that name the
    entity before all others; `untold` how many more there were; `lost` why some are not known, "" if all are.
    """

    seq: int
    commit: str
    committed_ms: int
    op: str
    transitions: tuple[Mapping[str, Any], ...]
    events: tuple[AppliedEvent, ...]
    untold: int
    lost: str


class History(msgspec.Struct, frozen=True):
    """The newest episodes, the newest first; `whole`: the announcements were looked through to their beginning."""

    episodes: tuple[Episode, ...]
    whole: bool


def history_of(sources: Sources, partition: int, key: str, *, count: int) -> History:
    """Read the last `count` commits that changed `<kind>/<name>`. Raises SourceUnavailable, InvalidRequest."""
    with sources.open(sources.topics["changes"]) as reader:
        records, whole = _newest(reader, partition, key.encode(), count)
    with sources.open(sources.topics["commits"]) as commits:
        episodes = [_episode(sources, commits, partition, key, record) for record in records]
    return History(tuple(episodes), whole)


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


def _newest(reader: Reader, partition: int, key: bytes, count: int) -> tuple[list[Record], bool]:
    """Return the last `count` announcements of a key, the newest first, one a commit; and whether that is all."""
    extent = reader.extents()[partition]
    found: dict[int, Record] = {}
    end = extent.high
    while end > extent.low and len(found) < count and extent.high - end < ANNOUNCEMENTS_MAX:
        start = max(extent.low, end - CHUNK_OFFSETS)
        chunk = [record for record in _between(reader, partition, start, end) if record.key == key]
        for record in reversed(chunk):
            found.setdefault(_seq_of(record), record)
        end = start
    return list(islice(found.values(), count)), end == extent.low and len(found) <= count


def _episode(sources: Sources, commits: Reader, partition: int, key: str, record: Record) -> Episode:
    decoded, seq = sources.decode(record), _seq_of(record)
    if decoded.error:
        return Episode(seq, "", record.timestamp_ms, "", (), (), 0, f"the announcement is unreadable: {decoded.error}")
    change = decoded.value
    found = commits.search(partition, _seq_of, seq)
    commit = sources.decode(found).value if found is not None and _seq_of(found) == seq else None
    applied, lost = ([], f"commit {seq} is not in the log any more") if commit is None else _applied(sources, commit)
    events = [_event(sources, key, one) for one in applied]
    told = sorted(events, key=lambda event: not event.named)[:EVENTS_TOLD_MAX]
    return Episode(
        seq=seq,
        commit=commit["kind"] if commit else "",
        committed_ms=change["ts_ms"],
        op={"c": "create", "u": "update", "d": "delete"}[change["op"]],
        transitions=tuple(_without_absent(transition) for transition in change["transitions"]),
        events=tuple(event for event in events if event in told),
        untold=len(events) - len(told),
        lost=lost,
    )


def _applied(sources: Sources, commit: Mapping[str, Any]) -> tuple[list[Record], str]:
    """Return the records of a commit that changed the state, and why some are missing."""
    outcomes = list(chain.from_iterable(repeat(run["outcome"], run["count"]) for run in commit["outcomes"]))
    applied: list[Record] = []
    lost, position, read = "", 0, 0
    for span in commit["ranges"]:
        own = outcomes[position : position + span["count"]]
        position += span["count"]
        if "applied" not in own:
            continue
        if read + span["count"] > EVENTS_READ_MAX:
            return applied, f"only its first {read} events were looked at"
        read += span["count"]
        records = _records(sources, span)
        if len(records) < len(own):
            lost = f"{span['topic']} does not keep all of its events any more"
        kept = own[len(own) - len(records) :]
        applied += [record for record, outcome in zip(records, kept, strict=True) if outcome == "applied"]
    return applied, lost


def _records(sources: Sources, span: Mapping[str, Any]) -> list[Record]:
    partition = span["partition"]
    with sources.open(span["topic"]) as reader:
        start = max(span["from"], reader.extents()[partition].low)
        return list(_between(reader, partition, start, span["to"])) if start < span["to"] else []


def _between(reader: Reader, partition: int, start: int, end: int) -> Iterable[Record]:
    return takewhile(lambda record: record.offset < end, reader.until_end({partition: start}))


def _event(sources: Sources, key: str, record: Record) -> AppliedEvent:
    decoded = sources.decode(record)
    event_type = decoded.type.rpartition(".")[2]
    return AppliedEvent(
        topic=decoded.topic,
        partition=decoded.partition,
        offset=decoded.offset,
        at_ms=decoded.timestamp_ms,
        type=event_type,
        data=decoded.value,
        named=names(key, event_type, decoded.value),
    )


def _seq_of(record: Record) -> int:
    return int(dict(record.headers).get("processor-seq") or -1)


def _without_absent(transition: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in transition.items() if value is not None}
