"""The targets of `offsets reset`, with the options of Kafka's own tool for consumer groups. Only a file is read."""

import csv
import re
from collections.abc import Mapping
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Literal

import msgspec

from processor.engine.errors import InvalidRequest
from processor.engine.inputs import TopicFacts, TopicPartition, Watermarks
from processor.engine.values import Head
from processor.runtime.clock import iso_time_ms
from processor.runtime.files import text_of

DURATION = re.compile(
    r"P(?:(?P<days>\d{1,6})D)?(?:T(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,9}(?:\.\d{1,9})?)S)?)?"
)


class ToEnd(msgspec.Struct, frozen=True):
    """To the first or the last offset that the partition holds."""

    end: Literal["earliest", "latest"]


class ToOffset(msgspec.Struct, frozen=True):
    """To the same offset everywhere."""

    offset: int


class ToOffsets(msgspec.Struct, frozen=True):
    """To an offset for each partition."""

    offsets: Mapping[TopicPartition, int]


class ToTime(msgspec.Struct, frozen=True):
    """To the first record at this time or later, in ms since the epoch."""

    at_ms: int


class ShiftBy(msgspec.Struct, frozen=True):
    """By this many offsets forwards, or backwards where negative."""

    count: int


Reset = ToEnd | ToOffset | ToOffsets | ToTime | ShiftBy


def targets_of(
    reset: Reset, head: Head, facts: TopicFacts, places: Mapping[TopicPartition, int | None]
) -> dict[TopicPartition, int]:
    """Return (topic, partition) → the next offset to read, limited to what the partition holds.

    `places` gives each partition's offset at the time of a ToTime, None where every record is older.
    Raises InvalidRequest for a partition that is no input.
    """
    targets = {}
    for place, offset_at_time in places.items():
        marks = facts.inputs.get(place)
        if marks is None:
            raise InvalidRequest(f"{place[0]}[{place[1]}] is no input of this shard")
        position = head.positions.get(place[0], {}).get(place[1], marks.low)
        wanted = _wanted(reset, place, position, marks, offset_at_time)
        targets[place] = max(marks.low, min(marks.high, wanted))
    return targets


def _wanted(reset: Reset, place: TopicPartition, position: int, marks: Watermarks, offset_at_time: int | None) -> int:
    match reset:
        case ToEnd(end=end):
            return marks.low if end == "earliest" else marks.high
        case ToOffset(offset=offset):
            return offset
        case ToOffsets(offsets=offsets):
            return offsets[place]
        case ToTime():
            return marks.high if offset_at_time is None else offset_at_time
        case ShiftBy(count=count):
            return position + count


def time_ms_of(text: str) -> int:
    """Return an ISO 8601 time in ms, UTC where it does not say; 0 before 1970. Raises InvalidRequest.

    Negative times have another meaning at Kafka: the ends of a partition.
    """
    try:
        return max(0, iso_time_ms(text))
    except ValueError as error:
        raise InvalidRequest(f"{text!r} is no time like 2026-11-25T07:00:00.000Z") from error


def duration_of(text: str) -> timedelta:
    """Return an ISO 8601 duration of days, hours, minutes and seconds. Raises InvalidRequest."""
    match = DURATION.fullmatch(text)
    parts = {name: float(value) for name, value in match.groupdict().items() if value} if match else {}
    if not parts:
        raise InvalidRequest(f"{text!r} is no duration like P1DT2H30M or PT15M")
    return timedelta(**parts)


def offsets_in(path: Path) -> dict[TopicPartition, int]:
    """Return the offsets of a CSV file whose lines are topic,partition,offset. Raises InvalidRequest."""
    offsets: dict[TopicPartition, int] = {}
    try:
        for number, row in enumerate(csv.reader(StringIO(text_of(path), newline="")), start=1):
            if row:
                offsets |= _offset_in(row, f"{path}:{number}")
    except csv.Error as error:
        raise InvalidRequest(f"{path}: {error}") from error
    return offsets


def _offset_in(row: list[str], where: str) -> dict[TopicPartition, int]:
    try:
        topic, partition, offset = (cell.strip() for cell in row)
        return {(topic, int(partition)): int(offset)}
    except ValueError:
        raise InvalidRequest(f"{where}: {','.join(row)!r} is not topic,partition,offset") from None


def place_words(word: str) -> tuple[str, tuple[int, ...] | None]:
    """Return topic and partitions of `T` or `T:0,1`; None: all of them. Raises InvalidRequest."""
    topic, colon, listed = word.partition(":")
    try:
        partitions = tuple(int(part) for part in listed.split(",")) if colon else None
    except ValueError:
        raise InvalidRequest(f"{word!r} is not a topic, or a topic with partitions like {topic}:0,1") from None
    return topic, partitions
