"""Which commit a sequence number, a time, an offset or a revision belongs to, by the commit log alone.

What is searched for never falls along the log, so halving finds it: a search halves the offsets until the rest costs no
more to read than one more request.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import takewhile
from typing import Any, ParamSpec, Protocol

import msgspec

from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Record, Watermarks
from processor.engine.outputs import PROCESSOR_REVISION, PROCESSOR_SEQ, header_number
from processor.history.points import AtOffset, AtRevision, AtSeq, AtTime, Past

READ_THROUGH_OFFSETS = 200
"""About what a broker sends with one response anyway."""

Arguments = ParamSpec("Arguments")


class Log(Protocol):
    """One topic, committed records only."""

    def watermarks(self) -> Mapping[int, Watermarks]:
        """Return the low and high watermark of each partition."""

    def until_end(self, starts: Mapping[int, int]) -> Iterator[Record]:
        """Yield the records from these offsets to the present ends of the partitions."""


class Located(msgspec.Struct, frozen=True):
    """A commit-log record: its offset, its value, and the store's revision at which the commit was made."""

    offset: int
    revision: int
    commit: Mapping[str, Any]

    @property
    def seq(self) -> int:
        """The commit's sequence number."""
        return int(self.commit["seq"])

    @property
    def committed_ms(self) -> int:
        """When it was committed."""
        return int(self.commit["committed_ms"])

    @property
    def digest(self) -> str:
        """The digest of the state after it, 32 hex digits."""
        digest: bytes = self.commit["digest"]
        return digest.hex()


class CommitLog:
    """One shard's part of the commit log; `decode` returns the value of one of its records.

    Every method raises SourceUnavailable, and InvalidRequest for a point that the log does not hold.
    """

    def __init__(self, log: Log, partition: int, decode: Callable[[Record], Mapping[str, Any]]) -> None:
        self._log = log
        self._partition = partition
        self._decode = decode

    def first(self) -> Located:
        """Return the oldest commit that the log keeps."""
        low = self._log.watermarks()[self._partition].low
        record = next(self._from(low), None)
        if record is None:
            raise InvalidRequest("the commit log is empty: nothing is committed yet but the empty state, seq 0")
        return self._located(record)

    def last(self) -> Located:
        """Return the newest commit."""
        first = self.first()
        low, high = first.offset, self._log.watermarks()[self._partition].high
        found = first
        while low < high:
            middle = (low + high) // 2
            record = next(self._from(middle), None)
            if record is None:
                high = middle
            else:
                found = self._located(record)
                low = record.offset + 1
        return found

    def holds(self, seq: int) -> bool:
        """Tell whether the log holds this commit or a later one."""
        return self._first_where_record(lambda record: seq_of(record) >= seq) is not None

    def of_seq(self, seq: int) -> Located:
        """Return the commit with this sequence number."""
        found = self._first_where_record(lambda record: seq_of(record) >= seq)
        if found is None:
            raise InvalidRequest(f"seq {seq} is in the future: the last commit is {self.last().seq}")
        if found.seq != seq:
            raise InvalidRequest(f"seq {seq} is not in the commit log: it begins with {found.seq}")
        return found

    def at_time(self, time_ms: int) -> Located:
        """Return the last commit that was made at or before this time, in ms since the epoch.

        Where the clocks of two owners disagreed, it is one of those around the change of owners.
        """
        after = self._first_where(lambda commit: bool(commit["committed_ms"] > time_ms))
        if after is None:
            return self.last()
        return self._before(after, f"the first commit that is kept, seq {after.seq}, was made later")

    def at_offset(self, topic: str, partition: int, offset: int) -> Located:
        """Return the first commit that reduced this offset of an input."""
        found = self._first_where(lambda commit: _passes(commit, topic, partition, offset))
        if found is None:
            raise InvalidRequest(f"{topic}[{partition}]@{offset} is not processed yet, or {topic} is no input")
        start = next(span["from"] for span in _spans(found.commit, topic, partition) if span["to"] > offset)
        if start > offset:
            raise InvalidRequest(f"{topic}[{partition}]@{offset} is before the first commit's, which is {start}")
        return found

    def at_revision(self, revision: int) -> Located:
        """Return the last commit that the store had at this revision."""
        after = self._first_where_record(lambda record: revision_of(record) > revision)
        if after is None:
            return self.last()
        return self._before(after, f"the first commit that is kept, seq {after.seq}, has revision {after.revision}")

    def _before(self, after: Located, what: str) -> Located:
        if after.offset == self.first().offset:
            raise InvalidRequest(f"that is before the beginning: {what}")
        return self.of_seq(after.seq - 1)

    def _first_where(self, holds: Callable[[Mapping[str, Any]], bool | None]) -> Located | None:
        return self._first_where_record(lambda record: holds(self._decode(record)))

    def _first_where_record(self, holds: Callable[[Record], bool | None]) -> Located | None:
        """Return the first record for which a condition holds that holds for all later ones, None if for none.

        `holds` returns None for a record that does not say.
        """
        marks = self._log.watermarks()[self._partition]
        low, high, found = marks.low, marks.high, None
        while high - low > READ_THROUGH_OFFSETS:
            middle = (low + high) // 2
            record, answer = self._first_answer(middle, high, holds)
            if record is None or answer:
                high = middle
                found = record or found
            else:
                low = record.offset + 1
        near = takewhile(lambda record: record.offset < high, self._from(low) if low < high else ())
        found = next(filter(holds, near), found)
        return None if found is None else self._located(found)

    def _first_answer(
        self, start: int, end: int, holds: Callable[[Record], bool | None]
    ) -> tuple[Record | None, bool | None]:
        for record in self._from(start):
            if record.offset >= end:
                break
            if (answer := holds(record)) is not None:
                return record, answer
        return None, None

    def _from(self, offset: int) -> Iterator[Record]:
        return self._log.until_end({self._partition: offset})

    def _located(self, record: Record) -> Located:
        return Located(record.offset, revision_of(record), self._decode(record))


def opened_once(
    open_: Callable[Arguments, AbstractContextManager[Log]], opened: ExitStack
) -> Callable[Arguments, AbstractContextManager[Log]]:
    """Return a function that opens each place once and leaves it open until `opened` is closed.

    A consumer costs more than what is read here. Opening a place again ends what was being read of it.
    """
    logs: dict[object, Log] = {}

    @contextmanager
    def once(*place: Arguments.args, **named: Arguments.kwargs) -> Iterator[Log]:
        if place not in logs:
            logs[place] = opened.enter_context(open_(*place, **named))
        yield logs[place]

    return once


def seq_at(log: CommitLog, point: Past) -> int:
    """Return the commit that a point stands for. Raises SourceUnavailable, InvalidRequest."""
    match point:
        case AtSeq():
            return log.of_seq(point.seq).seq
        case AtTime():
            return log.at_time(point.time_ms).seq
        case AtOffset():
            return log.at_offset(point.topic, point.partition, point.offset).seq
        case AtRevision():
            return log.at_revision(point.revision).seq


def seq_of(record: Record) -> int:
    """Return the seq of the commit that a record of an output topic belongs to, −1 for a foreign record."""
    return header_number(record, PROCESSOR_SEQ)


def revision_of(record: Record) -> int:
    """Return the store's revision of the commit that a record of an output topic belongs to, −1 for a foreign one."""
    return header_number(record, PROCESSOR_REVISION)


def _passes(commit: Mapping[str, Any], topic: str, partition: int, offset: int) -> bool | None:
    spans = _spans(commit, topic, partition)
    return max(span["to"] for span in spans) > offset if spans else None


def _spans(commit: Mapping[str, Any], topic: str, partition: int) -> list[Mapping[str, Any]]:
    return [span for span in commit["ranges"] if (span["topic"], span["partition"]) == (topic, partition)]
