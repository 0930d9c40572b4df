"""Rejected events that named an entity: what was asked for and not done."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from processor.client.codec import DecodedRecord
from processor.engine.inputs import Record
from processor.history.events import Sources, between, names

REFUSALS_READ_MAX = 500
"""How many events, the newest, are read to find those that name the entity."""
NEAR_OFFSETS = 500
"""Events no further apart than this are read in one go."""
PREFIX = b"rejected/"

RecordId = tuple[str, int, int]


class Refusal(msgspec.Struct, frozen=True):
    """A rejected event that named the entity, with the commit that rejected it. A JSON shape."""

    seq: int
    committed_ms: int
    code: str
    message: str
    event_id: str
    topic: str
    partition: int
    offset: int
    at_ms: int
    type: str
    data: Any


def refusals_of(sources: Sources, announced: Sequence[Record], key: str) -> tuple[Refusal, ...]:
    """Return the rejections among announcements whose events named `<kind>/<name>`, in the given order."""
    decoded = [sources.decode(record) for record in announced[:REFUSALS_READ_MAX]]
    announced_at = {_place(one.value): one.value for one in decoded if not one.error}
    events = _read(sources, sorted(announced_at))
    return tuple(
        _refusal(said, events[place])
        for place, said in announced_at.items()
        if place in events and names(key, said["event_type"], events[place].value)
    )


def _place(said: Any) -> RecordId:
    return said["topic"], said["partition"], said["offset"]


def _read(sources: Sources, places: Sequence[RecordId]) -> dict[RecordId, DecodedRecord]:
    """Return the events at these places (ascending) as far as they are kept."""
    found: dict[RecordId, DecodedRecord] = {}
    for (topic, partition), of_partition in groupby(places, key=lambda place: place[:2]):
        offsets = [offset for _, _, offset in of_partition]
        with sources.open(topic) as log:
            low = log.watermarks()[partition].low
            for run in _runs([offset for offset in offsets if offset >= low]):
                for record in between(log, partition, run[0], run[-1] + 1):
                    if record.offset in run:
                        found[topic, partition, record.offset] = sources.decode(record)
    return found


def _runs(offsets: Sequence[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for offset in offsets:
        if run and offset - run[-1] > NEAR_OFFSETS:
            yield run
            run = []
        run.append(offset)
    if run:
        yield run


def _refusal(said: Any, event: DecodedRecord) -> Refusal:
    return Refusal(
        seq=said["source"]["seq"],
        committed_ms=said["ts_ms"],
        code=said["code"],
        message=said["message"],
        event_id=said["event_id"],
        topic=event.topic,
        partition=event.partition,
        offset=event.offset,
        at_ms=event.timestamp_ms,
        type=said["event_type"],
        data=event.value,
    )
