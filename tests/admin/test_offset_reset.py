from datetime import timedelta
from pathlib import Path

import pytest

from processor.admin.offset_reset import (
    Reset,
    ShiftBy,
    ToEnd,
    ToOffset,
    ToOffsets,
    ToTime,
    duration_of,
    offsets_in,
    place_words,
    targets_of,
    time_ms_of,
)
from processor.engine.errors import InvalidRequest
from tests.engine.test_positions import HEAD, facts

HIGH = ("high", 0)


@pytest.mark.parametrize(
    ("reset", "offset_at_time", "target"),
    [
        (ToEnd("earliest"), None, 2),
        (ToEnd("latest"), None, 9),
        (ToOffset(3), None, 3),
        (ToOffset(0), None, 2),
        (ToOffset(99), None, 9),
        (ToOffsets({HIGH: 4}), None, 4),
        (ToTime(1), 6, 6),
        (ToTime(1), None, 9),
        (ShiftBy(-2), None, 3),
        (ShiftBy(-99), None, 2),
        (ShiftBy(99), None, 9),
    ],
)
def test_positions_go_where_they_shall_within_what_is_there(
    reset: Reset, offset_at_time: int | None, target: int
) -> None:
    found = facts(high=(2, 9))
    assert targets_of(reset, HEAD, found, {HIGH: offset_at_time}) == {HIGH: target}


def test_a_partition_that_is_no_input_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"changes\[0\] is no input"):
        targets_of(ToOffset(0), HEAD, facts(), {("changes", 0): None})


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1970-01-01T00:00:01.500", 1500),
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:01+01:00", 1000),
        ("1970-01-02", 86_400_000),
    ],
)
def test_times_are_iso_8601_and_utc_unless_they_say_otherwise(text: str, time_ms: int) -> None:
    assert time_ms_of(text) == time_ms


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P1D", timedelta(days=1)),
        ("PT15M", timedelta(minutes=15)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
    ],
)
def test_durations_are_iso_8601(text: str, duration: timedelta) -> None:
    assert duration_of(text) == duration


@pytest.mark.parametrize("text", ["", "P", "PT", "1D", "P1M", "soon"])
def test_what_is_no_duration_is_said_to_be_none(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no duration"):
        duration_of(text)


def test_what_is_no_time_is_said_to_be_none() -> None:
    with pytest.raises(InvalidRequest, match="'yesterday' is no time"):
        time_ms_of("yesterday")


def test_offsets_come_from_a_file_of_topic_partition_and_offset(tmp_path: Path) -> None:
    path = tmp_path / "offsets.csv"
    path.write_text("high,0,3\n\n normal , 1 , 4\n")
    assert offsets_in(path) == {("high", 0): 3, ("normal", 1): 4}


def test_a_line_that_is_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "offsets.csv"
    path.write_text("high,0,3\nhigh,0\n")
    with pytest.raises(InvalidRequest, match=r"offsets\.csv:2: 'high,0' is not topic,partition,offset"):
        offsets_in(path)
    with pytest.raises(InvalidRequest, match="No such file"):
        offsets_in(tmp_path / "none.csv")


def test_a_topic_is_named_alone_or_with_partitions() -> None:
    assert place_words("high") == ("high", None)
    assert place_words("high:0,2") == ("high", (0, 2))
    with pytest.raises(InvalidRequest, match="partitions like high:0,1"):
        place_words("high:all")
