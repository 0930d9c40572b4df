from typing import Any

import pytest

from processor.cluster.event_parsing import InvalidEvent, parse_event, parse_json_event
from processor.cluster.events import EVENT_TYPES, HIGH_LANE

REPORT = {"model": "iris", "version": 1, "server": "s1", "replica": 0}
LOADED = {**REPORT, "available_memory": 5}
CONNECTED = {"server": "s1", "replica": 0}
LOAD = {"model": "iris", "spec": {"uri": "s3://x"}}
EXPERIMENT = {"experiment": "duel"}


def test_there_is_one_class_for_each_thing_that_happens() -> None:
    assert all(event.__name__ == name for name, event in EVENT_TYPES.items())
    assert EVENT_TYPES.keys() > HIGH_LANE


def test_fields_with_defaults_may_be_left_out() -> None:
    event = parse_event("ServerReplicaConnected", 7, CONNECTED)
    assert event.model_dump() == {
        "at_ms": 7,
        "server": "s1",
        "replica": 0,
        "capabilities": (),
        "memory": 0,
        "available_memory": None,
        "shared": True,
        "loaded_models": (),
        "inference_host": "",
        "http_port": 0,
        "grpc_port": 0,
    }


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ModelReplicaLoaded", {**LOADED, "replica": 2**63 - 1}),
        ("ServerDeclared", {"server": "a", "expected_replicas": -1}),
        ("ServerDeclared", {"server": "a" * 253}),
        ("ServerDeclared", {"server": "0-a"}),
        ("ModelLoadRequested", {**LOAD, "deployment": {"replicas": 3, "min_replicas": 3, "max_replicas": 3}}),
        ("ModelLoadRequested", {**LOAD, "deployment": {"replicas": 0}}),
        ("ModelLoadRequested", {"model": "iris", "spec": {"uri": "", "server": "s1", "parameters": {"": ""}}}),
        ("ExperimentStartRequested", {**EXPERIMENT, "mirror": None}),
        ("ExperimentStartRequested", {**EXPERIMENT, "mirror": {"name": "a", "percent": 100}}),
        ("ServerReplicaConnected", {**CONNECTED, "available_memory": None}),
        ("PipelineLoadRequested", {"pipeline": "p", "steps": [{"name": "a", "inputs_join": "any"}]}),
        ("ClockTicked", {}),
    ],
)
def test_what_is_well_formed_is_let_in(name: str, data: dict[str, Any]) -> None:
    assert type(parse_event(name, 0, data)).__name__ == name


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("NoSuchEvent", {}),
        ("Event", {}),
        ("ReplicaReport", REPORT),
        ("ClockTicked", {"now": 1}),
        ("ClockTicked", {"at_ms": 1}),
        ("ModelReplicaLoaded", REPORT),
        ("ModelReplicaLoaded", {**LOADED, "replica": True}),
        ("ModelReplicaLoaded", {**LOADED, "replica": 1.0}),
        ("ModelReplicaLoaded", {**LOADED, "replica": "1"}),
        ("ModelReplicaLoaded", {**LOADED, "replica": None}),
        ("ModelReplicaLoaded", {**LOADED, "replica": -1}),
        ("ModelReplicaLoaded", {**LOADED, "replica": 2**63}),
        ("ModelReplicaLoaded", {**LOADED, "version": 0}),
        ("ModelReplicaLoaded", {**LOADED, "model": ""}),
        ("ModelReplicaLoaded", {**LOADED, "model": "-a"}),
        ("ModelReplicaLoaded", {**LOADED, "model": "a-"}),
        ("ModelReplicaLoaded", {**LOADED, "model": "A"}),
        ("ModelReplicaLoaded", {**LOADED, "model": "a.b"}),
        ("ModelReplicaLoaded", {**LOADED, "model": "a\n"}),
        ("ModelReplicaLoaded", {**LOADED, "model": "é"}),
        ("ModelReplicaLoaded", {**LOADED, "model": "a" * 254}),
        ("ModelReplicaLoadFailed", {**REPORT, "reason": None}),
        ("ModelReplicaLoadFailed", {**REPORT, "reason": "\ud800"}),
        ("ServerDeclared", {"server": "s1", "expected_replicas": -2}),
        ("ServerDeclared", {"server": "s1", "shared": 1}),
        ("ServerReplicaConnected", {**CONNECTED, "capabilities": "sklearn"}),
        ("ServerReplicaConnected", {**CONNECTED, "capabilities": [1]}),
        ("ServerReplicaConnected", {**CONNECTED, "capabilities": {"a": 1}}),
        ("ServerReplicaConnected", {**CONNECTED, "loaded_models": [{"model": "a"}]}),
        ("ServerReplicaConnected", {**CONNECTED, "loaded_models": [{"model": "a", "version": 1, "x": 1}]}),
        ("ModelLoadRequested", {"model": "iris"}),
        ("ModelLoadRequested", {"model": "iris", "spec": {}}),
        ("ModelLoadRequested", {**LOAD, "spec": {"uri": "x", "instances": 0}}),
        ("ModelLoadRequested", {**LOAD, "spec": {"uri": "x", "server": "S"}}),
        ("ModelLoadRequested", {**LOAD, "spec": {"uri": "x", "parameters": {"a": 1}}}),
        ("ModelLoadRequested", {**LOAD, "spec": {"uri": "x", "parameters": []}}),
        ("ModelLoadRequested", {**LOAD, "deployment": None}),
        ("ModelLoadRequested", {**LOAD, "deployment": {"replicas": 0, "min_replicas": 1}}),
        ("ModelLoadRequested", {**LOAD, "deployment": {"replicas": 3, "max_replicas": 2}}),
        ("ModelScaleRequested", {"model": "iris", "version": 1, "direction": "sideways"}),
        ("PipelineLoadRequested", {"pipeline": "p", "steps": [{"name": "a", "inputs_join": "all"}]}),
        ("PipelineLoadRequested", {"pipeline": "p", "steps": [{}]}),
        ("ExperimentStartRequested", {**EXPERIMENT, "candidates": [{"name": "a", "weight": 0}]}),
        ("ExperimentStartRequested", {**EXPERIMENT, "candidates": [{"name": "a"}]}),
        ("ExperimentStartRequested", {**EXPERIMENT, "mirror": {"name": "a", "percent": 0}}),
        ("ExperimentStartRequested", {**EXPERIMENT, "mirror": {"name": "a", "percent": 101}}),
        ("ExperimentStartRequested", {**EXPERIMENT, "kind": "server"}),
        ("ResponderConnected", {"role": "router", "responder": "e0"}),
        ("PolicyChanged", {"retry_limit": 3}),
    ],
)
def test_what_is_not_well_formed_stays_outside(name: str, data: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match=r"\w"):
        parse_event(name, 0, data)


@pytest.mark.parametrize("at_ms", [-1, True, 1.0, "1", None, 2**63])
def test_the_time_is_checked_like_any_number(at_ms: Any) -> None:
    with pytest.raises(InvalidEvent, match="at_ms"):
        parse_event("ClockTicked", at_ms, {})


@pytest.mark.parametrize("data", [{**CONNECTED, "available_memory": None}, [], None, "x"])
def test_json_knows_no_null_but_that_of_the_mirror(data: Any) -> None:
    with pytest.raises(InvalidEvent):
        parse_json_event("ServerReplicaConnected", 0, data)


def test_an_event_cannot_be_changed() -> None:
    event = parse_event("ClockTicked", 5, {})
    with pytest.raises(ValueError, match="frozen"):
        setattr(event, "at_ms", 6)  # noqa: B010 - the type checker knows that it is read-only
