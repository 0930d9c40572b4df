"""Which commit a sequence number, a time, an offset or a revision belongs to, by the commit log alone.

A search halves the log until reading what is left costs as much as asking once more.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import takewhile
from typing import Any, ParamSpec, Protocol

import msgspec

from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Record, Watermarks
from processor.engine.outputs import PROCESSOR_REVISION, PROCESSOR_SEQ, header_number

READ_THROUGH_OFFSETS = 200
"""What a broker sends with one answer anyway."""

Arguments = ParamSpec("Arguments")


class Log(Protocol):
    """One topic, committed records only."""

    def watermarks(self) -> Mapping[int, Watermarks]:
        """Return what each partition holds now."""

    def until_end(self, starts: Mapping[int, int]) -> Iterator[Record]:
        """Yield what stands from these offsets to the partitions' ends of now."""


class Located(msgspec.Struct, frozen=True):
    """A commit-log record: its offset, what stands in it, and the revision at which the store took the commit."""

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
        """Return the oldest commit that is kept."""
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
        """Tell whether this commit, or a later one, stands in the log."""
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
        """Return the last commit that had been made at this time.

        Where clocks ran backwards between two owners, it is one after which a later one was made.
        """
        after = self._first_where(lambda commit: bool(commit["committed_ms"] > time_ms))
        if after is None:
            return self.last()
        return self._before(after, f"the first commit that is kept, seq {after.seq}, was made later")

    def at_offset(self, topic: str, partition: int, offset: int) -> Located:
        """Return the first commit that took in this offset of an input."""
        found = self._first_where(lambda commit: _passes(commit, topic, partition, offset))
        if found is None:
            raise InvalidRequest(f"{topic}[{partition}]@{offset} is not processed yet, or {topic} is no input")
        start = next(span["from"] for span in _spans(found.commit, topic, partition) if span["to"] > offset)
        if start > offset:
            raise InvalidRequest(f"{topic}[{partition}]@{offset} is before the first commit's, which is {start}")
        return found

    def at_revision(self, revision: int) -> Located:
        """Return the last commit that stood in the store at this revision."""
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
        """Return the first record for which something holds that holds for all later ones; None: it does not say."""
        extent = self._log.watermarks()[self._partition]
        low, high, found = extent.low, extent.high, None
        while high - low > READ_THROUGH_OFFSETS:
            middle = (low + high) // 2
            record, told = self._telling(middle, high, holds)
            if record is None or told:
                high = middle
                found = record or found
            else:
                low = record.offset + 1
        near = takewhile(lambda record: record.offset < high, self._from(low) if low < high else ())
        found = next(filter(holds, near), found)
        return None if found is None else self._located(found)

    def _telling(
        self, start: int, end: int, holds: Callable[[Record], bool | None]
    ) -> tuple[Record | None, bool | None]:
        for record in self._from(start):
            if record.offset >= end:
                break
            if (told := holds(record)) is not None:
                return record, told
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


def seq_of(record: Record) -> int:
    """Return the seq that a record of an output topic belongs to, −1 for a record of somebody else."""
    return header_number(record, PROCESSOR_SEQ)


def revision_of(record: Record) -> int:
    """Return the store's revision at which the commit was made that a record of an output topic belongs to."""
    return header_number(record, PROCESSOR_REVISION)


def _passes(commit: Mapping[str, Any], topic: str, partition: int, offset: int) -> bool | None:
    spans = _spans(commit, topic, partition)
    return max(span["to"] for span in spans) > offset if spans else None


def _spans(commit: Mapping[str, Any], topic: str, partition: int) -> list[Mapping[str, Any]]:
    return [span for span in commit["ranges"] if (span["topic"], span["partition"]) == (topic, partition)]
