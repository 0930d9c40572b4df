"""Submitting events and waiting for what becomes of them, by the commit log alone."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from processor.client.codec import DecodedRecord, RecordDecoder
from processor.client.outcomes import EventOutcome, outcomes_in
from processor.engine.announcements import Role
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

LOOK_INTERVAL_S = 0.05

Reading = dict[Role, int]
"""Output role → the offset at which reading begins."""


class Waiter:
    """Watches the shard's output partition from where it ends when this is made: make it before producing."""

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
