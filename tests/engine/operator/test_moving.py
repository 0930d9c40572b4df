import pytest

from processor.engine.errors import InvalidRequest, OwnershipLost, ShardRefused
from processor.engine.inputs import Range, TopicFacts
from processor.engine.operator.moving import Move, plan_acceptance, plan_move
from processor.engine.operator.moving import move as move_positions
from processor.engine.values import Head
from tests.engine.test_positions import HEAD, facts
from tests.engine.test_shard import report
from tests.engine.world import World


def test_a_move_is_one_empty_range_for_each_position_that_changes() -> None:
    planned = plan_move(HEAD, facts(), {("high", 0): 2, ("normal", 0): 7}, topics=("high", "normal"))
    assert planned.ranges == (Range("high", 0, 5, 2, 0),)
    assert planned.topics == {}
    assert planned.needed


def test_the_ids_of_topics_that_were_made_anew_are_taken_with_their_positions() -> None:
    planned = plan_move(HEAD, facts(high_id="z"), {("high", 0): 5}, topics=("high",))
    assert (planned.ranges, planned.topics, planned.needed) == ((), {"high": "z"}, True)


@pytest.mark.parametrize("target", [-1, 10])
def test_a_position_that_the_broker_does_not_have_is_no_target(target: int) -> None:
    with pytest.raises(InvalidRequest, match=r"high\[0\] holds offsets 0 to 9"):
        plan_move(HEAD, facts(), {("high", 0): target}, topics=())


def test_a_partition_of_another_shard_is_no_target() -> None:
    with pytest.raises(InvalidRequest, match=r"high\[1\] is no input of this shard"):
        plan_move(HEAD, facts(), {("high", 1): 0}, topics=())


@pytest.mark.parametrize(
    ("found", "target"),
    [(facts(high=(6, 9)), 6), (facts(high=(0, 3)), 3), (facts(high_id="z"), 0), (facts(), 8)],
    ids=["records gone", "end missing", "topic made anew", "an unreadable record"],
)
def test_each_kind_of_hole_can_be_accepted(found: TopicFacts, target: int) -> None:
    planned = plan_acceptance(HEAD, found, "high", target, partition=0)
    assert planned.ranges == (Range("high", 0, 5, target, 0),)


@pytest.mark.parametrize(
    ("topic", "target", "said"),
    [
        ("high", 4, "no hole. To read records again: processor offsets reset"),
        ("high", None, r"where shall reading go on\? high\[0\] holds offsets 0 to 9"),
        ("changes", 4, "changes is an output"),
        ("cats", 4, "there is no topic cats: high, normal, changes"),
    ],
)
def test_what_is_no_hole_is_said_to_be_none(topic: str, target: int | None, said: str) -> None:
    found = facts()
    known = TopicFacts({**found.topic_ids, "changes": "c"}, found.inputs)
    with pytest.raises(InvalidRequest, match=said):
        plan_acceptance(HEAD, known, topic, target, partition=0)


def test_an_output_that_was_made_anew_is_accepted_without_an_offset() -> None:
    found = facts()
    known = TopicFacts({**found.topic_ids, "changes": "c"}, found.inputs)
    assert plan_acceptance(HEAD, known, "changes", None, partition=0).topics == {"changes": "c"}


def accepted(head: Head, found: TopicFacts) -> Move:
    return plan_acceptance(head, found, "normal", found.inputs["normal", 0].low, partition=0)


def holed_world() -> World:
    """Three records are read, five more arrive, and retention takes three of those."""
    world = World()
    report(world, 3)
    world.run()
    report(world, 5, start=3)
    world.broker.trim("normal", 0, 6)
    world.run()
    assert "offsets 3 to 5 are gone; whether records were among them is not known" in world.refusals[-1]
    return world


def test_an_accepted_hole_is_a_commit_of_its_own_and_processing_goes_on_behind_it() -> None:
    world = holed_world()
    before = world.head
    move_positions(world.parts("tool"), accepted, action="accept-gap", by="someone")
    world.run()
    assert len(world.refusals) == 1
    assert sorted(world.devices()) == ["d0", "d1", "d2", "d6", "d7"]
    first, gap, *later = world.commits()
    assert (gap.kind, gap.ranges, gap.outcomes, gap.announcements) == ("gap", (Range("normal", 0, 3, 6, 0),), (), 0)
    assert gap.digest == gap.previous_digest == first.digest
    assert [commit.ranges[0].start for commit in later] == [6, 7]
    (entry,) = world.cluster.read(0, lambda keys, _: keys.audit)
    assert (entry.action, entry.by, entry.seq) == ("accept-gap", "someone", before.seq + 1)
    assert entry.facts["moved"] == [{"topic": "normal", "partition": 0, "from": 3, "to": 6}]


def test_a_topic_that_was_made_anew_is_read_on_under_its_new_id() -> None:
    world = World()
    report(world, 3)
    world.run()
    world.broker.delete_topic("normal")
    world.broker.create_topic("normal")
    report(world, 1, start=7)
    world.run()
    assert "topic normal was recreated" in world.refusals[-1]
    move_positions(world.parts("tool"), accepted, action="accept-gap", by="someone")
    world.run()
    assert len(world.refusals) == 1
    assert sorted(world.devices()) == ["d0", "d1", "d2", "d7"]
    assert [commit.kind for commit in world.commits()] == ["batch", "gap", "batch"]


def test_positions_may_go_back_and_the_records_are_reduced_again() -> None:
    world = World()
    report(world, 3)
    world.run()

    def back(head: Head, found: TopicFacts) -> Move:
        return plan_move(head, found, {("normal", 0): 1}, topics=("normal",))

    move_positions(world.parts("tool"), back, action="offsets-reset", by="someone")
    world.run()
    spans = [(commit.kind, commit.ranges[0].start, commit.ranges[0].end) for commit in world.commits()]
    assert spans[:3] == [("batch", 0, 3), ("gap", 3, 1), ("batch", 1, 2)]
    assert spans[-1][2] == 3


def test_positions_of_an_owned_shard_stay_where_they_are() -> None:
    world = holed_world()
    assert world.parts("owner").ownership.campaign() is not None
    with pytest.raises(OwnershipLost, match="shard 0 is owned"):
        move_positions(world.parts("tool"), accepted, action="accept-gap", by="someone")


def test_a_shard_that_never_ran_has_no_positions_to_move() -> None:
    with pytest.raises(ShardRefused, match="no state yet"):
        move_positions(World().parts("tool"), accepted, action="accept-gap", by="someone")


def test_a_move_to_where_the_positions_are_commits_nothing() -> None:
    world = World()
    report(world, 3)
    world.run()

    def nowhere(head: Head, found: TopicFacts) -> Move:
        return plan_move(head, found, {("normal", 0): 3}, topics=())

    assert not move_positions(world.parts("tool"), nowhere, action="offsets-reset", by="someone").needed
    assert len(world.commits()) == 1
