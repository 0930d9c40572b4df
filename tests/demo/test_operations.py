from random import Random

from processor.demo.agents import BROKEN, BROKEN_REASON
from processor.demo.notices import Event, Garbage, Notice, notice_of
from processor.demo.operations import CATALOGUE, Die, Drain, DrainServer, Flap, Operator, improvise, script

PLACES = (("cpu", 0), ("cpu", 1))


def test_the_opening_shows_everything_once() -> None:
    cues, _ = script()
    actions = [action for cue in cues for action in cue.actions]
    types = {action.type for action in actions if isinstance(action, Event)}
    assert {
        "PolicyChanged",
        "ModelLoadRequested",
        "ModelUnloadRequested",
        "PipelineLoadRequested",
        "ExperimentStartRequested",
    } <= types
    assert {type(action) for action in actions} == {Event, Garbage, Drain, Die, DrainServer, Flap}
    assert sorted(cue.at_ms for cue in cues) == [cue.at_ms for cue in cues]


def test_in_the_flood_a_high_event_stands_behind_many_normal_ones() -> None:
    cues, _ = script()
    flood = max(cues, key=lambda cue: len(cue.actions)).actions
    place = next(n for n, action in enumerate(flood) if isinstance(action, Drain))
    assert min(place, len(flood) - place) > 500


def test_the_operator_remembers_what_it_asked_for() -> None:
    operator, random = script()[1], Random(3)
    for _ in range(300):
        before = operator
        operator, actions = improvise(before, PLACES, random)
        for action in actions:
            if isinstance(action, Event) and action.type == "ModelUnloadRequested":
                assert action.data["model"] in operator.unloaded
        assert not set(operator.loaded) & set(operator.unloaded)
        assert set(operator.loaded) | set(operator.unloaded) == set(before.loaded) | set(before.unloaded)


def test_over_time_it_does_everything() -> None:
    operator, random = script()[1], Random(3)
    kinds: set[str] = set()
    for _ in range(400):
        operator, actions = improvise(operator, PLACES, random)
        kinds |= {action.type if isinstance(action, Event) else type(action).__name__ for action in actions}
    assert {"ModelLoadRequested", "ModelUnloadRequested", "ModelScaleRequested", "Drain", "Die"} <= kinds


def test_the_last_server_replica_is_left_in_peace() -> None:
    random = Random(3)
    for _ in range(300):
        _, actions = improvise(Operator(), (("cpu", 0),), random)
        assert not any(isinstance(action, Drain | Die) for action in actions)


def test_a_broken_build_is_rolled_back_once_and_only_because_it_is_broken() -> None:
    operator = script()[1]
    assert operator.loaded["fraud"].build == BROKEN
    by_chance = Notice("model", "fraud", {}, ({"type": "ModelFailed", "version": 1, "reason": "out of luck"},))
    assert operator.hear(by_chance) == (operator, [])
    broken = Notice("model", "fraud", {}, ({"type": "ModelFailed", "version": 2, "reason": BROKEN_REASON},))
    after, events = operator.hear(broken)
    assert [event.data["spec"]["uri"] for event in events] == ["s3://models/fraud/1"]
    assert events[0].data["generation"] == operator.loaded["fraud"].generation + 1
    assert after.hear(broken) == (after, [])


def test_each_change_by_its_owner_has_a_higher_generation() -> None:
    iris = CATALOGUE[0]
    assert iris.next(revision=2).load().data["generation"] == iris.generation + 1


def test_a_second_play_counts_generations_from_above_the_first() -> None:
    generations = {
        action.data["generation"]
        for cue in script(generation=500)[0]
        for action in cue.actions
        if isinstance(action, Event) and action.data.get("generation")
    }
    assert min(generations) == 500


def test_a_change_is_a_notice_and_a_rejection_is_none() -> None:
    record = {"op": "c", "before": None, "after": {"name": "iris"}, "transitions": [{"type": "ModelAdded", "to": None}]}
    assert notice_of("model/iris", "processor.changes.ModelChanged", record) == Notice(
        "model", "iris", {"name": "iris"}, ({"type": "ModelAdded"},)
    )
    assert notice_of("rejected/1", "processor.changes.EventRejected", {"code": "stale_generation"}) is None


def test_a_name_may_hold_slashes() -> None:
    notice = notice_of("failure/model/iris", "processor.changes.FailureChanged", {"after": None, "transitions": []})
    assert notice is not None
    assert (notice.kind, notice.name) == ("failure", "model/iris")


def test_an_event_says_in_a_few_words_what_it_is_about() -> None:
    assert Event("ModelReplicaLoaded", {"model": "iris", "version": 2, "server": "s1", "replica": 0}).subject() == (
        "iris:2 on s1/0"
    )
    assert Event("ServerDeclared", {"server": "s1"}).subject() == "s1"
    assert Event("ResponderConnected", {"role": "dataflow_engine", "responder": "e"}).subject() == "e"
