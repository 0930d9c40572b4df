import pytest

from processor.engine.announcements import OutcomeRun
from processor.engine.errors import ShardRefused
from processor.engine.inputs import Range, Record, TopicFacts, Watermarks
from processor.engine.positions import advanced, checked_positions, first_positions, joined, ranges_of, runs_of
from processor.engine.values import Head

HEAD = Head(
    seq=3,
    epoch=1,
    commit_id="1-3",
    committed_ms=0,
    positions={"high": {0: 5}, "normal": {0: 7}},
    topics={"high": "a", "normal": "b"},
    digest="",
    reducer_version=1,
)


def record(topic: str, offset: int, partition: int = 0) -> Record:
    return Record(topic, partition, offset, 0, None, b"")


def facts(*, high: tuple[int, int] = (0, 9), normal: tuple[int, int] = (0, 9), high_id: str = "a") -> TopicFacts:
    inputs = {("high", 0): Watermarks(*high), ("normal", 0): Watermarks(*normal)}
    return TopicFacts({"high": high_id, "normal": "b"}, inputs)


def test_ranges_follow_the_order_and_bridge_control_records() -> None:
    records = [record("high", 5), record("high", 6), record("normal", 9), record("high", 9)]
    assert ranges_of(records, {"high": {0: 5}, "normal": {0: 7}}) == (
        Range("high", 0, 5, 7, 2),
        Range("normal", 0, 7, 10, 1),
        Range("high", 0, 7, 10, 1),
    )


def test_positions_advance_to_the_ends_of_the_ranges() -> None:
    ranges = (Range("high", 0, 5, 7, 2), Range("high", 0, 7, 10, 1))
    assert advanced({"high": {0: 5}, "normal": {0: 7}}, ranges) == {"high": {0: 10}, "normal": {0: 7}}


def test_neighbouring_ranges_of_one_partition_are_merged_and_others_are_not() -> None:
    first, second = Range("high", 0, 0, 2, 2), Range("high", 0, 2, 5, 1)
    assert joined((first,), (second,)) == (Range("high", 0, 0, 5, 3),)
    assert joined((first,), (Range("normal", 0, 2, 5, 1), second))[0] == first


def test_outcomes_are_run_lengths_appended_to_earlier_ones() -> None:
    runs = runs_of(["applied", "applied", "rejected"], after=(OutcomeRun("applied", 4),))
    assert runs == (OutcomeRun("applied", 6), OutcomeRun("rejected", 1))


def test_a_first_start_begins_at_the_low_watermarks_or_at_the_ends() -> None:
    assert first_positions(facts(high=(2, 9)), start="earliest") == {"high": {0: 2}, "normal": {0: 0}}
    assert first_positions(facts(high=(2, 9)), start="latest") == {"high": {0: 9}, "normal": {0: 9}}


def test_positions_inside_the_watermarks_are_taken() -> None:
    assert checked_positions(HEAD, facts()) == {"high": {0: 5}, "normal": {0: 7}}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (facts(high=(6, 9)), r"next offset is 5, the oldest kept is 6: offset 5 is gone; whether it was a record"),
        (facts(normal=(0, 6)), r"next offset is 7, the end is 6: 1 are missing"),
        (facts(high_id="z"), r"topic high was recreated: its id is z, the state was built on a"),
        (facts(high=(6, 9)), r"accept-gap SHARD --topic high --to 6$"),
        (facts(high_id="z", high=(6, 9)), r"gone: processor shards accept-gap SHARD --topic high --to 6$"),
        (facts(high=(6, 9), normal=(0, 6)), r"--topic high --to 6; processor shards accept-gap SHARD --topic normal"),
    ],
)
def test_a_hole_or_a_recreated_topic_is_refused_with_the_facts(found: TopicFacts, said: str) -> None:
    with pytest.raises(ShardRefused, match=said):
        checked_positions(HEAD, found)


def test_a_partition_that_appears_later_starts_at_zero_or_is_refused() -> None:
    known = facts()
    at_zero = TopicFacts(known.topic_ids, {**known.inputs, ("high", 1): Watermarks(0, 3)})
    assert checked_positions(HEAD, at_zero)["high"] == {0: 5, 1: 0}
    later = TopicFacts(known.topic_ids, {**known.inputs, ("high", 1): Watermarks(2, 3)})
    with pytest.raises(ShardRefused, match="appeared and already starts at offset 2"):
        checked_positions(HEAD, later)
