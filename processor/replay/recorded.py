"""What was recorded, in its order: each commit with the records that it reduced, read once and in one pass.

Only what one commit reduced is in memory, beside what the readers prefetch.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from types import TracebackType
from typing import Self

from processor.engine.announcements import CommitRecord
from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Positions, Range, Record
from processor.engine.outputs import CE_TIME, PROCESSOR_EPOCH, PROCESSOR_SEQ, PROCESSOR_SHARD, rfc3339
from processor.engine.positions import MutablePositions
from processor.history.commit_log import CommitLog, Log, seq_of
from processor.replay.announced import Announced
from processor.replay.errors import LogBroken, RecordsGone
from processor.replay.sources import Image, Sources

SpanPlace = tuple[str, int]
"""Topic and partition of an input."""


class Recording:
    """Reads one shard's past from behind `seq` on, whose commit left the inputs at `positions`.

    A context: leaving it closes what was opened. Everything raises SourceUnavailable, RecordsGone, LogBroken.
    """

    def __init__(self, sources: Sources, *, seq: int = 0, positions: Positions | None = None) -> None:
        self._sources = sources
        self._input_topics = {sources.topics["high"], sources.topics["normal"]}
        self._opened = ExitStack()
        self._seq = seq
        self._next_offset: int | None = None
        self._inputs: dict[SpanPlace, _Input] = {}
        self._images: Announced | None = None
        self.positions: MutablePositions = {topic: dict(own) for topic, own in (positions or {}).items()}

    def commits(self, until: int | None = None) -> Iterator[CommitRecord]:
        """Yield the commits up to `until`, to the end of the log as it is now without; may be called again."""
        if until is not None and until <= self._seq:
            return
        topic = self._sources.topics["commits"]
        with self._sources.open(topic, self._sources.shard) as log:
            start = self._next_offset if self._next_offset is not None else self._offset_after(log)
            for record in log.until_end({self._sources.shard: start}):
                self._next_offset = record.offset + 1
                commit = self._sources.commit(record)
                _check_headers(record, commit)
                if commit.seq <= self._seq:  # written twice: its writer could not know that it was there
                    continue
                self._check(record, commit)
                self._seq = commit.seq
                yield commit
                if commit.seq == until:
                    return
        if until is not None:
            raise LogBroken(f"{topic}[{self._sources.shard}] ends with commit {self._seq}: {until} is not there")

    def records(self, commit: CommitRecord) -> tuple[Record, ...]:
        """Return the records of a commit; to be called for every commit in turn, or `skip`."""
        found: list[Record] = []
        for span in commit.ranges:
            self._expect(commit.seq, span)
            if span.count:
                found += self._input(span).take(commit.seq, span)
            self.positions.setdefault(span.topic, {})[span.partition] = span.end
        return tuple(found)

    def skip(self, commit: CommitRecord) -> None:
        """Move on behind a commit whose records are not wanted."""
        for span in commit.ranges:
            self.positions.setdefault(span.topic, {})[span.partition] = span.end

    def images(self, commit: CommitRecord) -> list[Image]:
        """Return what the announcements of a commit say that its entities became, in their order."""
        if self._images is None:
            place = self._sources.topics["changes"], self._sources.shard
            log = self._opened.enter_context(self._sources.open(*place))
            self._images = Announced(log, place)
        images = (self._sources.image(record) for record in self._images.of(commit))
        return [image for image in images if image is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def _input(self, span: Range) -> "_Input":
        place = span.topic, span.partition
        if place not in self._inputs:
            self._inputs[place] = _Input(self._opened.enter_context(self._sources.open(*place)), place)
        return self._inputs[place]

    def _expect(self, seq: int, span: Range) -> None:
        if span.topic not in self._input_topics:
            raise LogBroken(f"commit {seq} reduced records of {span.topic}, which is no input")
        before = self.positions.get(span.topic, {}).get(span.partition)
        if before is not None and span.start != before:
            place = f"{span.topic}[{span.partition}]"
            raise LogBroken(f"commit {seq} goes on at {place}@{span.start}, but the one before it ended at {before}")

    def _offset_after(self, log: Log) -> int:
        """Return an offset of the commit log at or before the record that follows `seq`, near it where there is one."""
        low = log.watermarks()[self._sources.shard].low
        if not self._seq:
            return low
        commits = CommitLog(log, self._sources.shard, lambda record: {"seq": seq_of(record)})
        try:
            return commits.of_seq(self._seq).offset + 1
        except InvalidRequest:  # it may begin right behind
            return low

    def _check(self, record: Record, commit: CommitRecord) -> None:
        place = f"{record.topic}[{record.partition}]@{record.offset}"
        if commit.seq != self._seq + 1:
            lacking = f"{self._seq + 1}" if commit.seq == self._seq + 2 else f"{self._seq + 1} to {commit.seq - 1}"
            raise LogBroken(f"{place} is commit {commit.seq}: {lacking} is missing before it")


def _check_headers(record: Record, commit: CommitRecord) -> None:
    stated = dict(record.headers)
    for name, value in _stated(commit).items():
        if stated.get(name, value) != value:
            said = (stated[name] or b"").decode(errors="replace")
            place = f"{record.topic}[{record.partition}]@{record.offset}"
            raise LogBroken(f"{place} says {value.decode()} where its header {name} says {said}")


def _stated(commit: CommitRecord) -> dict[str, bytes]:
    """Return what the headers of its record say of a commit."""
    return {
        PROCESSOR_SEQ: b"%d" % commit.seq,
        PROCESSOR_EPOCH: b"%d" % commit.epoch,
        PROCESSOR_SHARD: b"%d" % commit.shard,
        CE_TIME: rfc3339(commit.committed_ms).encode(),
    }


def first_foldable(sources: Sources) -> int:
    """Return the first commit from which on all records are there that were reduced. Raises as `Recording` does.

    The whole commit log is read: this is for the message that tells why a fold from an earlier one is impossible.
    """
    lows: dict[SpanPlace, int] = {}
    first = 1
    with Recording(sources) as recording:
        for commit in recording.commits():
            for span in commit.ranges:
                place = span.topic, span.partition
                if place not in lows:
                    with sources.open(*place) as log:
                        lows[place] = log.watermarks()[span.partition].low
                if span.count and span.start < lows[place]:
                    first = commit.seq + 1
    return first


class _Input:
    """One partition of an input, read forwards; a gap or a reset makes it start somewhere else."""

    def __init__(self, log: Log, place: SpanPlace) -> None:
        self._log = log
        self._partition = place[1]
        self._name = f"{place[0]}[{place[1]}]"
        self._records: Iterator[Record] = iter(())
        self._at: int | None = None

    def take(self, seq: int, span: Range) -> list[Record]:
        """Return the `count` records of a range."""
        found = list(islice(self._records, span.count)) if self._at == span.start else []
        if len(found) < span.count:  # the start, another place, or the end as it was when reading began
            start = found[-1].offset + 1 if found else span.start
            # what is gone may have been no record: the count tells
            low = self._log.watermarks()[self._partition].low
            self._records = iter(self._log.until_end({self._partition: max(start, low)}))
            found += islice(self._records, span.count - len(found))
        whole = len(found) == span.count and 0 <= span.start <= found[0].offset and found[-1].offset < span.end
        if not whole:
            inside = sum(span.start <= record.offset < span.end for record in found)
            self._look_back(seq, span)
            raise RecordsGone(
                f"commit {seq} reduced {span.count} records of {self._name}, offsets {span.start} to {span.end - 1}: "
                f"{inside} of them are there",
                seq=seq,
            )
        self._at = span.end
        return found

    def _look_back(self, seq: int, span: Range) -> None:
        low = self._log.watermarks()[self._partition].low
        if low > span.start:
            raise RecordsGone(
                f"commit {seq} reduced {self._name} from offset {span.start} on, the oldest that is kept is {low}",
                seq=seq,
            )
