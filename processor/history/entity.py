"""The recent history of one entity: its newest announcements, the commits that made them, and those commits' events.

Everything is bounded: the announcements that are searched, the commits that are shown, the events that are read.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import islice, repeat
from typing import Any

import msgspec

from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Record
from processor.history.commit_log import CommitLog, Log, opened_once, seq_of
from processor.history.events import Sources, between, event_id_of, event_type_of, names, outcomes_of
from processor.history.rejections import PREFIX, Refusal, refusals_of

ANNOUNCEMENTS_MAX = 20_000
CHUNK_OFFSETS = 2_000
EVENTS_READ_MAX = 5_000
EVENTS_TOLD_MAX = 20
OPERATIONS = {"c": "create", "u": "update", "d": "delete"}


class AppliedEvent(msgspec.Struct, frozen=True):
    """An event that changed the state.

    A JSON shape. `named`: it names the entity itself. `fields`: paths of the entity's fields that it changed, None
    where that is not known.
    """

    event_id: str
    topic: str
    partition: int
    offset: int
    at_ms: int
    type: str
    data: Any
    named: bool
    fields: tuple[str, ...] | None


class Episode(msgspec.Struct, frozen=True):
    """One commit that changed the entity.

    A JSON shape. `events` are the events of the commit that changed the entity; where that is not known, those that
    changed the state, at most EVENTS_TOLD_MAX, with those that name the entity first. `untold` counts the others of the
    commit; `lost` says why some are not known, "" if all are.
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
    """Episodes and refusals, the newest first; `whole`: all announcements that are kept were searched."""

    episodes: tuple[Episode, ...]
    refusals: tuple[Refusal, ...]
    whole: bool

    def until(self, seq: int) -> "History":
        """Return the part up to a commit, without what was committed while the history was read."""
        return History(
            tuple(episode for episode in self.episodes if episode.seq <= seq),
            tuple(refusal for refusal in self.refusals if refusal.seq <= seq),
            self.whole,
        )


class _Found(msgspec.Struct):
    """Announcements of an entity by seq, the newest first, and those of rejections on the way."""

    changes: dict[int, Record]
    rejections: list[Record]
    whole: bool = False


def history_of(sources: Sources, partition: int, key: str, *, count: int) -> History:
    """Read the last `count` commits that changed `<kind>/<name>`, and as many refusals of events that named it.

    Refusals are looked for as far back as the commits; `sources.effects` is asked in ascending order.
    Raises SourceUnavailable, InvalidRequest.
    """
    with ExitStack() as opened:
        kept = msgspec.structs.replace(sources, open=opened_once(sources.open, opened))
        return _history(kept, partition, key, count)


def _history(sources: Sources, partition: int, key: str, count: int) -> History:
    with sources.open(sources.topics["changes"]) as log:
        found = _newest(log, partition, key.encode(), count)
    with sources.open(sources.topics["commits"]) as log:
        commits = CommitLog(log, partition, lambda record: sources.decode(record).value)
        oldest_first = list(islice(found.changes.items(), count))[::-1]
        episodes = [_episode(sources, commits, key, seq, record) for seq, record in oldest_first]
    return History(tuple(reversed(episodes)), refusals_of(sources, found.rejections, key)[:count], found.whole)


def _newest(log: Log, partition: int, key: bytes, count: int) -> _Found:
    """Find the last `count` announcements of a key, one a commit, reading backwards from the end."""
    extent = log.watermarks()[partition]
    found, end = _Found({}, []), extent.high
    while end > extent.low and len(found.changes) < count and extent.high - end < ANNOUNCEMENTS_MAX:
        start = max(extent.low, end - CHUNK_OFFSETS)
        for record in reversed(list(between(log, partition, start, end))):
            if record.key == key:
                found.changes.setdefault(seq_of(record), record)
            elif record.key is not None and record.key.startswith(PREFIX):
                found.rejections.append(record)
        end = start
    found.whole = end == extent.low and len(found.changes) <= count
    return found


def _episode(sources: Sources, commits: CommitLog, key: str, seq: int, record: Record) -> Episode:
    decoded = sources.decode(record)
    if decoded.error:
        return Episode(seq, "", record.timestamp_ms, "", (), (), 0, f"the announcement is unreadable: {decoded.error}")
    change = decoded.value
    commit = _commit(commits, seq)
    applied, lost = ([], f"commit {seq} is not in the log any more") if commit is None else _applied(sources, commit)
    events = _events(sources, key, seq, applied, whole=not lost)
    shown = _shown(events)
    return Episode(
        seq=seq,
        commit=commit["kind"] if commit else "",
        committed_ms=change["ts_ms"],
        op=OPERATIONS[change["op"]],
        transitions=tuple(_without_absent(transition) for transition in change["transitions"]),
        events=shown,
        untold=len(events) - len(shown),
        lost=lost,
    )


def _commit(commits: CommitLog, seq: int) -> Mapping[str, Any] | None:
    try:
        return commits.of_seq(seq).commit
    except InvalidRequest:
        return None


def _events(sources: Sources, key: str, seq: int, applied: Sequence[Record], *, whole: bool) -> Sequence[AppliedEvent]:
    effects = sources.effects(seq, list(applied), key) if whole else None
    known = repeat(None) if effects is None else effects
    return [_event(sources, key, record, fields) for record, fields in zip(applied, known, strict=False)]


def _shown(events: Sequence[AppliedEvent]) -> tuple[AppliedEvent, ...]:
    if any(event.fields for event in events):
        return tuple(islice((event for event in events if event.fields), EVENTS_TOLD_MAX))
    told = sorted(events, key=lambda event: not event.named)[:EVENTS_TOLD_MAX]
    return tuple(event for event in events if event in told)


def _applied(sources: Sources, commit: Mapping[str, Any]) -> tuple[list[Record], str]:
    """Return the records of a commit that changed the state, and why some are missing."""
    applied: list[Record] = []
    lost, read = "", 0
    for span in commit["ranges"]:
        own = list(outcomes_of(commit, span))
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
    with sources.open(span["topic"]) as log:
        start = max(span["from"], log.watermarks()[partition].low)
        return list(between(log, partition, start, span["to"])) if start < span["to"] else []


def _event(sources: Sources, key: str, record: Record, fields: tuple[str, ...] | None) -> AppliedEvent:
    decoded = sources.decode(record)
    event_type = event_type_of(decoded)
    return AppliedEvent(
        event_id=event_id_of(decoded),
        topic=decoded.topic,
        partition=decoded.partition,
        offset=decoded.offset,
        at_ms=decoded.timestamp_ms,
        type=event_type,
        data=decoded.value,
        named=names(key, event_type, decoded.value),
        fields=fields,
    )


def _without_absent(transition: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in transition.items() if value is not None}
