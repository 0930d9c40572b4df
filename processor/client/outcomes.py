"""Submitting events and waiting for their outcomes, by the commit log alone.

The commit log says what happened to each record, in runs over the ranges that a commit reduced; why an event was
rejected is in the announcements, why it was put aside in the dead letters. So a `Waiter` notes where the three topics
end before the events are produced, and reads on from there.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from processor.client.codec import DecodedRecord, RecordDecoder
from processor.engine.announcements import Outcome, Role
from processor.engine.inputs import Record, RecordId
from processor.engine.outputs import (
    DEAD_LETTER_CODE,
    DEAD_LETTER_MESSAGE,
    DEAD_LETTER_OFFSET,
    DEAD_LETTER_PARTITION,
    DEAD_LETTER_TOPIC,
)
from processor.kafka.connection import KafkaConnection
from processor.kafka.reader import RecordReader

CountBefore = Callable[[str, int, int, int], int]
"""(topic, partition, from, offset) → how many data records stand in [from, offset)."""


class EventOutcome(msgspec.Struct, frozen=True):
    """The outcome of one record and the commit that has it; `code` and `message` where it was not applied."""

    place: RecordId
    seq: int
    outcome: Outcome
    code: str = ""
    message: str = ""


Reading = dict[Role, int]
"""Output role → the offset at which reading begins."""


class Waiter:
    """Watches a shard's outputs from their present ends on: create it before producing the events."""

    def __init__(
        self, connection: KafkaConnection, topics: Mapping[Role, str], decode: RecordDecoder, *, partition: int
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._decode = decode
        self._partition = partition
        self._starts: Reading = {role: self._end(role) for role in ("changes", "commits", "dead-letters")}

    def wait(self, places: Iterable[RecordId], *, timeout_s: float) -> dict[RecordId, EventOutcome]:
        """Return the outcomes known within the time; a record without one is missing. Raises SourceUnavailable."""
        deadline_s = time.monotonic() + timeout_s
        known: dict[RecordId, EventOutcome] = {}
        waiting = set(places)
        with self._reader("commits") as reader:
            records = reader.follow(self._start("commits"), lambda: not waiting or time.monotonic() > deadline_s)
            for record in records:
                commit = self._decode(record).value
                for found in outcomes_in(commit, waiting, self._count_before):
                    known[found.place] = found
                    waiting = waiting - {found.place}
        self._explain(known, "rejected", "changes", _rejection)
        self._explain(known, "dead_lettered", "dead-letters", _dead_letter)
        return known

    def _explain(
        self,
        known: dict[RecordId, EventOutcome],
        outcome: str,
        role: Role,
        read: Callable[[DecodedRecord], tuple[RecordId, str, str] | None],
    ) -> None:
        """Add code and message to outcomes with this outcome, from the records of a topic."""
        unexplained = {place for place, found in known.items() if found.outcome == outcome}
        if not unexplained:
            return
        with self._reader(role) as reader:
            for record in reader.until_end(self._start(role)):
                found = read(self._decode(record))
                if found is not None and found[0] in unexplained:
                    place, code, message = found
                    known[place] = msgspec.structs.replace(known[place], code=code, message=message)

    def _count_before(self, topic: str, partition: int, start: int, offset: int) -> int:
        with RecordReader(self._connection, topic, (partition,)) as reader:
            return sum(1 for _ in _below(reader.until_end({partition: start}), offset))

    def _end(self, role: Role) -> int:
        with self._reader(role) as reader:
            return reader.watermarks()[self._partition].high

    def _start(self, role: Role) -> dict[int, int]:
        return {self._partition: self._starts[role]}

    def _reader(self, role: Role) -> RecordReader:
        return RecordReader(self._connection, self._topics[role], (self._partition,))


def outcomes_in(commit: Mapping[str, Any], places: Iterable[RecordId], count_before: CountBefore) -> list[EventOutcome]:
    """Return the outcomes of those places that this commit-log record covers."""
    wanted = list(places)
    found: list[EventOutcome] = []
    position = 0
    for span in commit["ranges"]:
        for place in wanted:
            if (place.topic, place.partition) != (span["topic"], span["partition"]):
                continue
            if span["from"] <= place.offset < span["to"]:
                index = position + _index_in(span, place, count_before)
                found.append(EventOutcome(place, commit["seq"], _outcome_at(commit["outcomes"], index)))
        position += span["count"]
    return found


def _index_in(span: Mapping[str, Any], place: RecordId, count_before: CountBefore) -> int:
    """Return how many data records of the range stand before the place; only holes make it necessary to look."""
    if span["count"] == span["to"] - span["from"]:
        return int(place.offset - span["from"])
    return count_before(place.topic, place.partition, span["from"], place.offset)


def _outcome_at(runs: Iterable[Mapping[str, Any]], index: int) -> Outcome:
    for run in runs:
        if index < run["count"]:
            outcome: Outcome = run["outcome"]
            return outcome
        index -= run["count"]
    raise ValueError("the commit record has fewer outcomes than records")


def _below(records: Iterable[Record], offset: int) -> Iterable[Record]:
    for record in records:
        if record.offset >= offset:
            return
        yield record


def _rejection(record: DecodedRecord) -> tuple[RecordId, str, str] | None:
    if not record.type.endswith(".EventRejected"):
        return None
    value: Mapping[str, Any] = record.value
    return RecordId(value["topic"], value["partition"], value["offset"]), value["code"], value["message"]


def _dead_letter(record: DecodedRecord) -> tuple[RecordId, str, str]:
    headers = {name: value or "" for name, value in record.headers}
    place = RecordId(headers[DEAD_LETTER_TOPIC], int(headers[DEAD_LETTER_PARTITION]), int(headers[DEAD_LETTER_OFFSET]))
    return place, headers[DEAD_LETTER_CODE], headers[DEAD_LETTER_MESSAGE]
