from dataclasses import replace
from typing import Any

import pytest

from processor.engine.inputs import Record
from tests.checker.artefacts import Artefacts, Published, StoreDump
from tests.checker.priority import DELIVERY_MS, priority

BEGUN_MS = 1_000_000


def run(*lanes: str, acknowledged: tuple[str, int]) -> list[str]:
    """Judge commits, 100 ms apart, of these lanes: `hn` consumed a record of either. One record's time is known."""
    ends = {"high": 0, "normal": 0}
    commits = []
    for number, consumed in enumerate(lanes):
        ranges = []
        for topic, end in tuple(ends.items()):
            if topic[0] in consumed:
                ranges.append({"topic": topic, "partition": 0, "from": end, "to": end + 1})
                ends[topic] += 1
        value: dict[str, Any] = {"committed_ms": BEGUN_MS + 100 * number, "ranges": ranges}
        commits.append(Published(Record("commits", 0, number, 0, None, b"", ()), "", value))
    topic, offset = acknowledged
    known = {(topic, 0, offset): BEGUN_MS - DELIVERY_MS - 1}
    artefacts = Artefacts((), tuple(commits), (), (), StoreDump({}, {}), acknowledged_ms=known)
    assert list(priority(replace(artefacts, acknowledged_ms={}), high="high", normal="normal")) == []
    return list(priority(artefacts, high="high", normal="normal"))


def test_a_high_record_may_wait_for_what_was_under_way() -> None:
    assert run("n", "n", "hn", acknowledged=("high", 0)) == []


def test_a_high_record_that_waits_for_more_is_found() -> None:
    assert run("n", "n", "n", "hn", acknowledged=("high", 0)) == [
        "high offset 0 was passed by 3 commits without any record of high"
    ]


def test_high_records_before_it_are_no_overtaking() -> None:
    assert run(*(["h"] * 20), acknowledged=("high", 19)) == []


@pytest.mark.parametrize(("high_batches", "found"), [(11, 0), (12, 1)])
def test_normal_records_that_starve_are_found(high_batches: int, found: int) -> None:
    assert len(run(*(["h"] * high_batches), "n", acknowledged=("normal", 0))) == found
