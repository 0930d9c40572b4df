from typing import Any

import pytest

from processor.client.outcomes import EventOutcome, outcomes_in
from processor.engine.inputs import RecordId

COMMIT: dict[str, Any] = {
    "seq": 9,
    "ranges": [
        {"topic": "high", "partition": 0, "from": 5, "to": 7, "count": 2},
        {"topic": "normal", "partition": 0, "from": 100, "to": 104, "count": 4},
    ],
    "outcomes": [
        {"outcome": "applied", "count": 3},
        {"outcome": "rejected", "count": 2},
        {"outcome": "dead_lettered", "count": 1},
    ],
}


def _no_look(topic: str, partition: int, start: int, offset: int) -> int:
    raise AssertionError(f"no hole, no look: {topic}[{partition}] {start}-{offset}")


@pytest.mark.parametrize(
    ("place", "outcome"),
    [
        (RecordId("high", 0, 5), "applied"),
        (RecordId("high", 0, 6), "applied"),
        (RecordId("normal", 0, 100), "applied"),
        (RecordId("normal", 0, 101), "rejected"),
        (RecordId("normal", 0, 102), "rejected"),
        (RecordId("normal", 0, 103), "dead_lettered"),
    ],
)
def test_outcomes_run_over_the_ranges_in_their_order(place: RecordId, outcome: str) -> None:
    assert [(fate.seq, fate.outcome) for fate in outcomes_in(COMMIT, [place], _no_look)] == [(9, outcome)]


def test_places_that_a_commit_does_not_cover_have_no_fate_in_it() -> None:
    others = [RecordId("high", 0, 7), RecordId("high", 0, 4), RecordId("high", 1, 5), RecordId("other", 0, 5)]
    assert outcomes_in(COMMIT, others, _no_look) == []


def test_a_hole_makes_it_look_how_many_records_stand_before() -> None:
    commit = {
        "seq": 3,
        "ranges": [{"topic": "normal", "partition": 0, "from": 0, "to": 10, "count": 2}],
        "outcomes": [{"outcome": "applied", "count": 1}, {"outcome": "rejected", "count": 1}],
    }
    looked: list[tuple[str, int, int, int]] = []

    def count_before(topic: str, partition: int, start: int, offset: int) -> int:
        looked.append((topic, partition, start, offset))
        return 1

    place = RecordId("normal", 0, 9)
    assert outcomes_in(commit, [place], count_before) == [EventOutcome(place, 3, "rejected")]
    assert looked == [("normal", 0, 0, 9)]


def test_a_record_with_too_few_outcomes_is_a_bug() -> None:
    with pytest.raises(ValueError, match="fewer outcomes"):
        outcomes_in({**COMMIT, "outcomes": []}, [RecordId("high", 0, 5)], _no_look)


def test_a_place_is_written_like_an_event_id() -> None:
    assert str(RecordId("cluster.control-events", 0, 7)) == "cluster.control-events-0-7"
