"""What was recorded, in its order: each commit with the records that it reduced, read once and in one pass.

The commit log alone tells what happened: each commit names, in the order of reduction, the ranges of the inputs that it
took, and how many announcements it made. A recording therefore reads the commit log forwards, and beside it each input
and the announcements forwards too, and checks at every step that they fit together:

- commits follow each other without a hole; one that was written twice counts once
- a range begins where the last one of its partition ended, and holds as many records as the commit counted
- a commit has as many announcements as it says

A retry or a compacted gap can leave a reader elsewhere than where it is wanted: then it seeks once, and reads on. Only
what one commit reduced is in memory, beside what the readers prefetch.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from itertools import chain, islice
from typing import Self

from processor.engine.announcements import CommitRecord, Outcome
from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Positions, Range, Record, TopicPartition
from processor.engine.outputs import (
    CE_TIME,
    PROCESSOR_EPOCH,
    PROCESSOR_INDEX,
    PROCESSOR_SEQ,
    PROCESSOR_SHARD,
    header_number,
    rfc3339,
)
from processor.engine.positions import MutablePositions
from processor.history.commit_log import CommitLog, Log, seq_of
from processor.replay.errors import LogBroken, RecordsGone
from processor.replay.fold import outcomes_of
from processor.replay.sources import Image, Sources


class Recording:
    """Reads one shard's past after commit `seq`, which left the inputs at `positions`.

    A context: leaving it closes what was opened. Everything raises SourceUnavailable, RecordsGone, LogBroken.
    """

    def __init__(self, sources: Sources, *, seq: int = 0, positions: Positions | None = None) -> None:
        self._sources = sources
        self._input_topics = {sources.topics["high"], sources.topics["normal"]}
        self._opened = ExitStack()
        self._seq = seq
        self._next_offset: int | None = None
        self._inputs: dict[TopicPartition, _Input] = {}
        self._announced: AnnouncementLog | None = None
        self.positions: MutablePositions = {topic: dict(own) for topic, own in (positions or {}).items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def commits(self, until: int | None = None) -> Iterator["RecordedCommit"]:
        """Yield the commits up to `until`, by default to the present end of the log; may be called again.

        `positions` moves on when the next one is asked for.
        """
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
                self._check_follows(record, commit)
                self._seq = commit.seq
                yield RecordedCommit(commit, self)
                for span in commit.ranges:
                    self.positions.setdefault(span.topic, {})[span.partition] = span.end
                if commit.seq == until:
                    return
        if until is not None:
            raise LogBroken(f"{topic}[{self._sources.shard}] ends with commit {self._seq}: {until} is not there")

    def records(self, commit: CommitRecord) -> tuple[Record, ...]:
        """Return the records that the commit read last reduced, in that order."""
        found: list[Record] = []
        ends: dict[TopicPartition, int] = {}
        for span in commit.ranges:
            place = span.topic, span.partition
            before = self.positions.get(span.topic, {}).get(span.partition)
            self._check_begins(commit.seq, span, ends.get(place, before))
            if span.count:
                found += self._input(place).take(commit.seq, span)
            ends[place] = span.end
        return tuple(found)

    def images(self, commit: CommitRecord) -> list[Image]:
        """Return the entities that the commit read last changed, as announced, in order."""
        if self._announced is None:
            place = self._sources.topics["changes"], self._sources.shard
            self._announced = AnnouncementLog(self._opened.enter_context(self._sources.open(*place)), place)
        images = (self._sources.image(record) for record in self._announced.of(commit))
        return [image for image in images if image is not None]

    def _input(self, place: TopicPartition) -> "_Input":
        if place not in self._inputs:
            self._inputs[place] = _Input(self._opened.enter_context(self._sources.open(*place)), place)
        return self._inputs[place]

    def _check_begins(self, seq: int, span: Range, before: int | None) -> None:
        if span.topic not in self._input_topics:
            raise LogBroken(f"commit {seq} reduced records of {span.topic}, which is no input")
        if before is not None and span.start != before:
            place = f"{span.topic}[{span.partition}]"
            raise LogBroken(f"commit {seq} goes on at {place}@{span.start}, but the one before it ended at {before}")

    def _offset_after(self, log: Log) -> int:
        """Return the offset at which the search for the record that follows `seq` begins, near it if possible."""
        low = log.watermarks()[self._sources.shard].low
        if not self._seq:
            return low
        commits = CommitLog(log, self._sources.shard, lambda record: {"seq": seq_of(record)})
        try:
            return commits.of_seq(self._seq).offset + 1
        except InvalidRequest:  # it may begin right behind
            return low

    def _check_follows(self, record: Record, commit: CommitRecord) -> None:
        if commit.seq != self._seq + 1:
            place = f"{record.topic}[{record.partition}]@{record.offset}"
            lacking = f"{self._seq + 1}" if commit.seq == self._seq + 2 else f"{self._seq + 1} to {commit.seq - 1}"
            raise LogBroken(f"{place} is commit {commit.seq}: {lacking} is missing before it")


class RecordedCommit:
    """One commit with its records and announcements; each part is read on first access, before the next commit is."""

    def __init__(self, commit: CommitRecord, recording: Recording) -> None:
        self.commit = commit
        self._recording = recording

    @cached_property
    def records(self) -> Sequence[Record]:
        """The records in the order of their reduction. Raises RecordsGone, LogBroken, SourceUnavailable."""
        return self._recording.records(self.commit)

    @cached_property
    def outcomes(self) -> Sequence[Outcome]:
        """The recorded outcome of each of the records. Raises as `records`."""
        outcomes = outcomes_of(self.commit.outcomes)
        if len(outcomes) != len(self.records):
            raise LogBroken(f"commit {self.commit.seq} tells {len(outcomes)} outcomes of {len(self.records)} records")
        return outcomes

    @cached_property
    def images(self) -> Sequence[Image]:
        """The entities that it changed, as announced. Raises LogBroken, SourceUnavailable."""
        return self._recording.images(self.commit)


def first_foldable(sources: Sources) -> int:
    """Return the first commit from which on all reduced records are kept. Raises as `Recording` does.

    Reads the whole commit log: it is for the error message when a fold from an earlier commit is impossible.
    """
    lows: dict[TopicPartition, int] = {}
    first = 1
    with Recording(sources) as recording:
        for recorded in recording.commits():
            for span in recorded.commit.ranges:
                place = span.topic, span.partition
                if place not in lows:
                    with sources.open(*place) as log:
                        lows[place] = log.watermarks()[span.partition].low
                if span.count and span.start < lows[place]:
                    first = recorded.commit.seq + 1
    return first


class AnnouncementLog:
    """The announcements of one shard, read forwards from the first one that is wanted."""

    def __init__(self, log: Log, place: TopicPartition) -> None:
        self._log = log
        self._partition = place[1]
        self._name = f"{place[0]}[{place[1]}]"
        self._records: Iterator[Record] = iter(())
        self._ahead: Record | None = None

    def of(self, commit: CommitRecord) -> list[Record]:
        """Return the announcements of a commit, in their order. Raises LogBroken when one is missing."""
        if not commit.announcements:
            return []
        found = self._forwards(commit.seq)
        if len(found) < commit.announcements:
            self._seek(commit.seq)
            found = self._forwards(commit.seq)
        if len(found) != commit.announcements:
            raise LogBroken(
                f"commit {commit.seq} made {commit.announcements} announcements: {self._name} has {len(found)} of them"
            )
        return found

    def _seek(self, seq: int) -> None:
        self._ahead = None
        log = CommitLog(self._log, self._partition, lambda record: {"seq": seq_of(record)})
        try:
            offset = log.of_seq(seq).offset
        except InvalidRequest:
            self._records = iter(())
            return
        self._records = iter(self._log.until_end({self._partition: offset}))

    def _forwards(self, seq: int) -> list[Record]:
        """Return the records of a commit, each once, from where reading has got to."""
        found: list[Record] = []
        for record in self._following():
            if seq_of(record) > seq:
                self._ahead = record
                break
            if seq_of(record) == seq and header_number(record, PROCESSOR_INDEX) == len(found):
                found.append(record)
        return found

    def _following(self) -> Iterable[Record]:
        ahead, self._ahead = self._ahead, None
        return self._records if ahead is None else chain((ahead,), self._records)


class _Input:
    """One partition of an input, read forwards; it seeks where a gap or a reset moved the position."""

    def __init__(self, log: Log, place: TopicPartition) -> None:
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


def _check_headers(record: Record, commit: CommitRecord) -> None:
    stated = dict(record.headers)
    for name, value in _stated(commit).items():
        if stated.get(name, value) != value:
            said = (stated[name] or b"").decode(errors="replace")
            place = f"{record.topic}[{record.partition}]@{record.offset}"
            raise LogBroken(f"{place} says {value.decode()} where its header {name} says {said}")


def _stated(commit: CommitRecord) -> dict[str, bytes]:
    """Return the headers of a commit's record that repeat its value."""
    return {
        PROCESSOR_SEQ: b"%d" % commit.seq,
        PROCESSOR_EPOCH: b"%d" % commit.epoch,
        PROCESSOR_SHARD: b"%d" % commit.shard,
        CE_TIME: rfc3339(commit.committed_ms).encode(),
    }
