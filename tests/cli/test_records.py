from typing import Any

import pytest

from processor.cli.records import line_of, row_of, summary, time_of
from processor.client.codec import DecodedRecord


def _record(value: Any, *, error: str = "", type_name: str = "processor.changes.ModelChanged") -> DecodedRecord:
    headers = (("x", "old"), ("x", "new"))
    return DecodedRecord("cluster.changes", 0, 7, 1500, "model/iris", headers, type_name, value, error)


def test_of_several_headers_with_one_name_the_last_is_shown() -> None:
    row = row_of(_record({}))
    assert row["headers"] == {"x": "new"}
    assert "error" not in row


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"transitions": [{"type": "ModelAdded"}, {"type": "ModelProgressing"}]}, "ModelAdded, ModelProgressing"),
        ({"transitions": []}, "updated"),
        ({"code": "stale_generation", "event_type": "ModelLoadRequested"}, "ModelLoadRequested: stale_generation"),
        ({"seq": 4, "ranges": [{"count": 2}, {"count": 3}], "changed": 1}, "seq 4: 5 events, 1 changed"),
        (None, "-"),
        ({"model": "iris"}, '{"model": "iris"}'),
    ],
)
def test_the_gist_of_a_record(value: Any, text: str) -> None:
    assert summary(row_of(_record(value))) == text


def test_a_record_that_cannot_be_read_says_why() -> None:
    assert summary(row_of(_record("ff", error="no framing"))) == "unreadable: no framing"


def test_a_line_tells_when_where_what() -> None:
    line = line_of(row_of(_record({"transitions": []})))
    assert line == "1970-01-01T00:00:01.500Z  cluster.changes[0]@7  model/iris  ModelChanged  updated"


def test_a_record_without_a_time_has_none() -> None:
    assert time_of(-1) == "-"
