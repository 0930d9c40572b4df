"""Points as people write them."""

from pathlib import Path

import pytest

from processor.engine.errors import InvalidRequest
from processor.history.points import AtOffset, AtRevision, AtSeq, AtTime, InFile, Now, Point, at_time, point_of

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("now", Now()),
        ("seq:120", AtSeq(120)),
        ("seq:0", AtSeq(0)),
        ("revision:4711", AtRevision(4711)),
        ("offset:cluster.control-events:0:42", AtOffset("cluster.control-events", 0, 42)),
        ("time:2025-12-31T23:00:00Z", AtTime(NOW_MS - 3_600_000)),
        ("time:10m", AtTime(NOW_MS - 600_000)),
    ],
)
def test_a_point_is_read(text: str, point: Point) -> None:
    assert point_of(text, now_ms=NOW_MS) == point


def test_a_file_that_exists_is_a_point(tmp_path: Path) -> None:
    path = tmp_path / "then.snapshot"
    path.touch()
    assert point_of(str(path), now_ms=NOW_MS) == InFile(path)


@pytest.mark.parametrize(
    ("text", "before_ms"),
    [
        ("2025-12-31T23:59:59Z", 1000),
        ("2025-12-31T23:59:59.250Z", 750),
        ("2026-01-01T00:59:59+01:00", 1000),
        ("2025-12-31 23:59:59", 1000),
        ("2025-12-31", 24 * 3_600_000),
        (str(NOW_MS - 5), 5),
        ("0", NOW_MS),
        ("90s", 90_000),
        ("-90s", 90_000),
        ("1h30m", 5_400_000),
        ("2d", 2 * 24 * 3_600_000),
        ("0s", 0),
    ],
)
def test_a_time_is_read_as_a_date_as_ms_or_as_a_while_ago(text: str, before_ms: int) -> None:
    assert at_time(text, now_ms=NOW_MS) == AtTime(NOW_MS - before_ms)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", "is neither a file nor a point"),
        ("now:1", "is neither a file nor a point"),
        ("seq:", "'' is not a seq"),
        ("seq:-1", "'-1' is not a seq"),
        ("seq:1e3", "'1e3' is not a seq"),
        ("revision:x", "is not a revision"),
        ("offset:topic:1", "is no TOPIC:PARTITION:OFFSET"),
        ("time:soon", "'soon' is no time: RFC 3339"),
        ("time:", "is no time"),
        ("time:-", "is no time"),
        ("time:2026-01-01T00:00:01Z", "is in the future: it is 2026-01-01T00:00:00.000"),
    ],
)
def test_what_is_no_point_is_refused_with_what_would_be_one(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        point_of(text, now_ms=NOW_MS)
