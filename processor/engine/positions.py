"""Positions, the ranges between them, and the checks before a shard reads on. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import msgspec

from processor.engine.announcements import Outcome, OutcomeRun
from processor.engine.errors import ShardRefused
from processor.engine.inputs import Positions, Range, Record, TopicFacts
from processor.engine.values import Head

MutablePositions = dict[str, dict[int, int]]


class EmptyStretch(msgspec.Struct, frozen=True, gc=False):
    """Offsets of one partition, `start` inclusive, `end` exclusive, that hold no data record (read_committed)."""

    start: int
    end: int


Stretches = Mapping[tuple[str, int], EmptyStretch]


def ranges_of(records: Iterable[Record], positions: Positions) -> tuple[Range, ...]:
    """Return the ranges of these records in their order; each starts where the partition's last one ended."""
    reached: dict[tuple[str, int], int] = {}
    ranges = []
    for (topic, partition), run in groupby(records, key=lambda record: (record.topic, record.partition)):
        members = list(run)
        start = reached.get((topic, partition), positions.get(topic, {}).get(partition, members[0].offset))
        end = members[-1].offset + 1
        reached[topic, partition] = end
        ranges.append(Range(topic, partition, start, end, len(members)))
    return tuple(ranges)


def advanced(positions: Positions, ranges: Iterable[Range]) -> MutablePositions:
    """Return the positions after these ranges."""
    after = {topic: dict(partitions) for topic, partitions in positions.items()}
    for item in ranges:
        after.setdefault(item.topic, {})[item.partition] = item.end
    return after


def joined(first: Sequence[Range], second: Sequence[Range]) -> tuple[Range, ...]:
    """Return both in order, neighbours of one partition merged."""
    merged: list[Range] = list(first)
    for item in second:
        last = merged[-1] if merged else None
        if last and (last.topic, last.partition, last.end) == (item.topic, item.partition, item.start):
            merged[-1] = Range(last.topic, last.partition, last.start, item.end, last.count + item.count)
        else:
            merged.append(item)
    return tuple(merged)


def runs_of(outcomes: Iterable[Outcome], *, after: Sequence[OutcomeRun] = ()) -> tuple[OutcomeRun, ...]:
    """Return run lengths of outcomes, appended to earlier runs."""
    runs = list(after)
    for outcome, group in groupby(outcomes):
        count = sum(1 for _ in group)
        if runs and runs[-1].outcome == outcome:
            runs[-1] = OutcomeRun(outcome, runs[-1].count + count)
        else:
            runs.append(OutcomeRun(outcome, count))
    return tuple(runs)


def first_positions(facts: TopicFacts, *, start: str) -> MutablePositions:
    """Return where a shard without a head begins: low watermarks, or ends with `start` = latest."""
    positions: MutablePositions = {}
    for (topic, partition), marks in sorted(facts.inputs.items()):
        positions.setdefault(topic, {})[partition] = marks.high if start == "latest" else marks.low
    return positions


def reached(head: Head) -> MutablePositions:
    """Return where reading goes on: at the positions, or behind them where no data record follows (`head.scanned`)."""
    return {
        topic: {
            partition: max(position, head.scanned.get(topic, {}).get(partition, position))
            for partition, position in partitions.items()
        }
        for topic, partitions in head.positions.items()
    }


def scanned_after(head: Head, positions: Positions, stretches: Stretches) -> MutablePositions:
    """Return `Head.scanned` of the head that follows `head` with these positions.

    What `head` knows holds for a partition whose position stays. A stretch extends it when nothing lies between them:
    records that were taken and not committed do.
    """
    scanned: MutablePositions = {}
    known = reached(head)
    for topic, partitions in positions.items():
        for partition, position in partitions.items():
            stays = head.positions.get(topic, {}).get(partition) == position
            end = known[topic][partition] if stays else position
            stretch = stretches.get((topic, partition), EmptyStretch(end, end))
            if stretch.start <= end:
                end = max(end, stretch.end)
            if end > position:
                scanned.setdefault(topic, {})[partition] = end
    return scanned


def checked_positions(head: Head, facts: TopicFacts) -> MutablePositions:
    """Return the head's positions, partitions that appeared since included at offset 0.

    Raises ShardRefused when a topic was recreated, or a position lies outside what the broker still has. What is gone
    behind a position is no hole as far as `head.scanned` proves that no data record was there.
    """
    positions: MutablePositions = {topic: dict(partitions) for topic, partitions in head.positions.items()}
    problems = [*_recreated(head, facts), *_holes(reached(head), facts)]
    if problems:
        found = "; ".join(problem.text for problem in problems)
        answers = "; ".join(dict.fromkeys(problem.answer for problem in problems))
        raise ShardRefused(f"{found}. Nothing was read. Restore the records, or accept that they are gone: {answers}")
    for (topic, partition), marks in facts.inputs.items():
        positions.setdefault(topic, {}).setdefault(partition, marks.low)
    return positions


def gone(start: int, end: int) -> str:
    """Return what can be said of offsets that the broker removed, `start` inclusive, `end` exclusive."""
    if end - start == 1:
        return f"offset {start} is gone; whether it was a record or only the end of a transaction is not known"
    return f"offsets {start} to {end - 1} are gone; whether records were among them is not known"


class _Problem(msgspec.Struct, frozen=True):
    text: str
    topic: str
    target: int | None = None

    @property
    def answer(self) -> str:
        target = "" if self.target is None else f" --to {self.target}"
        return f"processor shards accept-gap SHARD --topic {self.topic}{target}"


def _recreated(head: Head, facts: TopicFacts) -> Iterator[_Problem]:
    lows = {topic: marks.low for (topic, _), marks in facts.inputs.items()}
    for name, known in sorted(head.topics.items()):
        found = facts.topic_ids.get(name, "gone")
        if found != known:
            text = f"topic {name} was recreated: its id is {found}, the state was built on {known}"
            yield _Problem(text, name, lows.get(name))


def _holes(positions: Positions, facts: TopicFacts) -> Iterator[_Problem]:
    for (topic, partition), marks in sorted(facts.inputs.items()):
        where = f"{topic}[{partition}]"
        position = positions.get(topic, {}).get(partition)
        if position is None:
            if marks.low > 0:
                yield _Problem(f"{where} appeared and already starts at offset {marks.low}", topic, marks.low)
        elif position < marks.low:
            text = f"{where}: next offset is {position}, the oldest kept is {marks.low}: {gone(position, marks.low)}"
            yield _Problem(text, topic, marks.low)
        elif position > marks.high:
            missing = f"the end is {marks.high}: {position - marks.high} are missing"
            yield _Problem(f"{where}: next offset is {position}, {missing}", topic, marks.high)
