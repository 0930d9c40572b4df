"""Sentences of the rules that could be read in two ways, and how both implementations read them."""

import json
from typing import Any

from processor.cluster.simulation import simulate as simulate_product
from tests.reference.comparison import Way, differences
from tests.reference.simulation import simulate

Json = dict[str, Any]
Told = tuple[str, int, Json]

REPLICA: Told = ("ServerReplicaConnected", 1000, {"server": "s1", "replica": 0, "memory": 200})


def both(*events: Told) -> Json:
    lines = [json.dumps({"type": kind, "at_ms": at_ms, "data": data}) for kind, at_ms, data in events]
    assert differences(lines, Way()) == []
    return simulate(lines)


def load(at_ms: int, memory: int = 100, *, generation: int = 0, replicas: int = 1, minimum: int = 0) -> Told:
    deployment = {"replicas": replicas, "min_replicas": minimum}
    data = {"model": "iris", "generation": generation, "spec": {"uri": "x", "memory": memory}, "deployment": deployment}
    return "ModelLoadRequested", at_ms, data


def about(kind: str, at_ms: int, **more: Any) -> Told:
    return kind, at_ms, {"model": "iris", "version": 1, "server": "s1", "replica": 0, **more}


def pipeline(reference: str) -> Told:
    steps = [{"name": "ant"}, {"name": "bee", "inputs": [reference]}]
    return "PipelineLoadRequested", 1000, {"pipeline": "flow", "steps": steps}


def report(at_ms: int, *, sequence: int = 1, success: bool = True, reason: str = "") -> Told:
    target = {"role": "dataflow_engine", "responder": "e0", "pipeline": "flow", "version": 1}
    return "PipelineReported", at_ms, {**target, "sequence": sequence, "success": success, "reason": reason}


def engine(name: str, kind: str = "ResponderConnected") -> Told:
    return kind, 500, {"role": "dataflow_engine", "responder": name}


def codes(document: Json) -> list[str]:
    return [rejection["code"] for rejection in document["rejected"]]


def transitions(document: Json, batch: int) -> list[str]:
    changes = [change for change in document["changes"] if change["batch"] == batch]
    return [transition["type"] for change in changes for transition in change["transitions"]]


def test_a_request_without_a_generation_starts_anew_even_if_nothing_differs() -> None:
    failure = both(load(1000), load(5000))["state"]["failures"]["model/iris"]
    assert (failure["since_ms"], failure["next_retry_ms"]) == (5000, 65000)


def test_a_repeat_by_its_generation_that_changes_nothing_leaves_the_failure() -> None:
    failure = both(load(1000, generation=1), load(5000, generation=1))["state"]["failures"]["model/iris"]
    assert failure["since_ms"] == 1000


def test_a_repeat_ignores_what_differs_in_it() -> None:
    state = both(REPLICA, load(2000, generation=1), load(3000, 50, generation=1))["state"]
    assert [version["spec"]["memory"] for version in state["models"]["iris"]["versions"]] == [100]


def test_the_definition_is_checked_before_the_generation() -> None:
    told = ("PipelineLoadRequested", 1000, {"pipeline": "flow", "generation": 2, "steps": [{"name": "ant"}]})
    stale_and_empty = ("PipelineLoadRequested", 2000, {"pipeline": "flow", "generation": 1, "steps": []})
    assert codes(both(told, stale_and_empty)) == ["no_steps"]


def test_a_tensor_may_be_the_empty_text() -> None:
    assert codes(both(pipeline("ant.outputs."))) == []


def test_a_reference_to_something_that_is_no_name_is_a_bad_one() -> None:
    assert codes(both(pipeline("Ant"), pipeline("a" * 254), pipeline("zebra"))) == [
        "bad_reference",
        "bad_reference",
        "unknown_step",
    ]


def test_an_answer_with_another_reason_is_a_different_answer() -> None:
    asked = [engine("e0"), pipeline("ant"), report(3000, success=False, reason="disk")]
    document = both(*asked, report(4000, success=False, reason="disk"), report(5000, success=False, reason="net"))
    assert codes(document) == ["unexpected_report"]


def test_what_could_not_be_ended_has_no_reason_once_all_who_could_not_are_gone() -> None:
    ends = ("PipelineUnloadRequested", 3000, {"pipeline": "flow"})
    failed = report(4000, sequence=2, success=False, reason="busy")
    state = both(engine("e0"), pipeline("ant"), report(2000), ends, failed, engine("e0", "ResponderDisconnected"))
    axis = state["state"]["pipelines"]["flow"]["versions"][0]["engine"]
    assert axis == {"state": "Terminated", "sequence": 2, "answers": {}, "reason": ""}


def test_a_failed_load_counts_for_the_size_of_its_server_even_if_it_is_tried_again_at_once() -> None:
    declared = ("ServerDeclared", 500, {"server": "s1", "expected_replicas": 3, "max_replicas": 5})
    small = ("ServerReplicaConnected", 600, {"server": "s1", "replica": 1, "memory": 50})
    tiny = ("ModelLoadRequested", 700, {"model": "zebra", "spec": {"uri": "x"}})
    none = ("ServerReplicaConnected", 1100, {"server": "s1", "replica": 2, "memory": 0})
    before: list[Told] = [declared, small, tiny, REPLICA, load(2000), none, load(3000, replicas=2)]
    roomier = about("ModelReplicaLoaded", 4000, model="zebra", replica=1, available_memory=200)
    state = both(*before, roomier, about("ModelReplicaLoadFailed", 5000))["state"]
    assert [entry["state"] for entry in state["models"]["iris"]["versions"][0]["replicas"].values()] == [
        "LoadRequested"
    ] * 2
    assert state["servers"]["s1"]["requested_replicas"] == 2


def test_a_failed_load_beside_a_failed_placement_is_dropped_too_when_a_replica_connects() -> None:
    second, third = (("ServerReplicaConnected", 1000, {**REPLICA[2], "replica": index}) for index in (1, 2))
    failed = about("ModelReplicaLoadFailed", 4000, replica=1)
    loaded = about("ModelReplicaLoaded", 3000, available_memory=100)
    document = both(REPLICA, second, load(2000, replicas=2), loaded, failed, load(5000, replicas=3), third)
    failure = document["state"]["failures"]["model/iris"]
    assert (failure["code"], failure["attempts"]) == ("insufficient_replicas", 1)


def test_what_vanishes_and_what_comes_at_an_index_stand_together() -> None:
    policy = ("PolicyChanged", 500, {**simulate([])["state"]["policy"], "retry_limit": 0})
    failed = about("ModelReplicaLoadFailed", 3000)
    others = [("ServerReplicaConnected", 4000, {"server": "s2", "replica": index, "memory": 400}) for index in (0, 1)]
    document = both(policy, REPLICA, load(2000), failed, *others, load(5000, replicas=2))
    assert transitions(document, 6)[:3] == ["ReplicaStateChanged", "ReplicaLoadRequested", "ReplicaLoadRequested"]


def test_a_version_of_a_pipeline_that_goes_announces_no_flag() -> None:
    removed = both(
        ("PolicyChanged", 500, {**simulate([])["state"]["policy"], "tombstone_ttl_ms": 0}),
        pipeline("ant"),
        ("PipelineUnloadRequested", 2000, {"pipeline": "flow"}),
        ("ClockTicked", 3000, {}),
    )
    assert transitions(removed, 3) == ["PipelineRemoved", "PipelineVersionRemoved"]


def test_a_retry_that_would_be_due_after_the_end_of_time_is_due_at_its_end() -> None:
    state = both(("ModelLoadRequested", 2**63 - 1, load(0)[2]))["state"]
    assert state["failures"]["model/iris"]["next_retry_ms"] == 2**63 - 1


def test_the_limits_of_a_server_are_not_compared_with_each_other() -> None:
    limits = {"expected_replicas": 9, "min_replicas": 5, "max_replicas": 2}
    assert codes(both(("ServerDeclared", 1000, {"server": "s1", **limits}))) == []


def test_a_new_message_with_the_same_code_replaces_the_message() -> None:
    second = ("ServerReplicaConnected", 3000, {"server": "s2", "replica": 0, "memory": 1})
    document = both(REPLICA, load(2000, memory=10**9), second, ("ClockTicked", 90_000, {}))
    failure = document["state"]["failures"]["model/iris"]
    assert (failure["since_ms"], failure["attempts"]) == (2000, 1)
    assert [detail.partition(":")[0] for detail in failure["message"].split("; ")] == ["s1", "s2"]


def test_a_number_of_thousands_of_digits_is_too_large_and_no_more() -> None:
    line = '{"type": "ClockTicked", "at_ms": 1' + "0" * 5000 + ', "data": {}}'
    for run in (simulate, simulate_product):
        rejected = run([line])["rejected"]
        assert [(one["type"], one["code"]) for one in rejected] == [("ClockTicked", "invalid_event")]
