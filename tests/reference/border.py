"""The border: what an event must look like, with defaults filled in; everything else is `InvalidEventError`."""

import re
from collections.abc import Callable
from typing import Any

from tests.reference.words import NAME_LENGTH_MAX, NUMBER_MAX, Json, empty_state

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
REQUIRED = object()

Check = Callable[[Any], Any]
Field = tuple[Check, Any]


class InvalidEventError(Exception):
    """The event fails a border check."""


def insist(condition: bool, what: str) -> None:  # noqa: FBT001 - reads like assert
    if not condition:
        raise InvalidEventError(what)


def number(least: int, most: int = NUMBER_MAX) -> Check:
    def check(value: Any) -> int:
        insist(type(value) is int and least <= value <= most, f"{value!r} is no integer of {least} to {most}")
        return int(value)

    return check


def text(value: Any) -> str:
    insist(isinstance(value, str), f"{value!r} is no text")
    insist(value.encode("utf-8", "ignore").decode() == value, "half of a surrogate pair is no text")
    return str(value)


def flag(value: Any) -> bool:
    insist(isinstance(value, bool), f"{value!r} is neither true nor false")
    return bool(value)


def name(value: Any) -> str:
    insist(len(text(value)) <= NAME_LENGTH_MAX and NAME.fullmatch(value) is not None, f"{value!r} is no name")
    return str(value)


def name_or_none(value: Any) -> str:
    return name(value) if value != "" else ""


def one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        insist(text(value) in words, f"{value!r} is none of {words}")
        return str(value)

    return check


def list_of(item: Check) -> Check:
    def check(value: Any) -> list[Any]:
        insist(isinstance(value, list), f"{value!r} is no list")
        return [item(each) for each in value]

    return check


def trimmed(value: Any) -> list[str]:
    return sorted({each.strip() for each in list_of(text)(value)})


def texts_by_text(value: Any) -> dict[str, str]:
    insist(isinstance(value, dict), f"{value!r} is no map")
    return {text(key): text(each) for key, each in value.items()}


def record(fields: dict[str, Field]) -> Check:
    def check(value: Any) -> Json:
        insist(isinstance(value, dict), f"{value!r} is no object")
        insist(set(value) <= set(fields), f"unknown fields in {sorted(value)}")
        found = {}
        for key, (item, default) in fields.items():
            insist(key in value or default is not REQUIRED, f"{key} is missing")
            found[key] = item(value[key]) if key in value else item(default)
        return found

    return check


def null_or(item: Check) -> Check:
    return lambda value: None if value is None else item(value)


size = number(0)
JOIN: Field = (one_of("inner", "outer", "any"), "inner")
NAMED: Field = (name, REQUIRED)
SIZE: Field = (size, REQUIRED)
SIZE_0: Field = (size, 0)
TEXTS: Field = (list_of(text), [])
MAP: Field = (texts_by_text, {})
REASON: Field = (text, "")
VERSION: Field = (number(1), REQUIRED)
ROLE: Field = (one_of("dataflow_engine", "pipeline_gateway"), REQUIRED)


def deployment(value: Any) -> Json:
    found: Json = record({"replicas": (size, 1), "min_replicas": SIZE_0, "max_replicas": SIZE_0})(value)
    insist(found["min_replicas"] <= found["replicas"], "fewer replicas than the minimum")
    insist(found["max_replicas"] == 0 or found["replicas"] <= found["max_replicas"], "more replicas than the maximum")
    return found


spec = record(
    {
        "uri": (text, REQUIRED),
        "requirements": (trimmed, []),
        "memory": SIZE_0,
        "instances": (number(1), 1),
        "server": (name_or_none, ""),
        "parameters": MAP,
    }
)
step = record(
    {
        "name": NAMED,
        "inputs": TEXTS,
        "triggers": TEXTS,
        "inputs_join": JOIN,
        "triggers_join": JOIN,
        "join_window_ms": SIZE_0,
        "tensor_map": MAP,
        "batch_size": SIZE_0,
        "batch_window_ms": SIZE_0,
    }
)
output = record({"steps": TEXTS, "join": JOIN, "join_window_ms": SIZE_0, "tensor_map": MAP})
loaded = record({"model": NAMED, "version": VERSION})
candidate = record({"name": NAMED, "weight": (number(1), REQUIRED)})
mirror = record({"name": NAMED, "percent": (number(1, 100), REQUIRED)})
policy: dict[str, Field] = {
    key: (flag if isinstance(value, bool) else size, REQUIRED) for key, value in empty_state()["policy"].items()
}

AT_REPLICA: dict[str, Field] = {"server": NAMED, "replica": SIZE}
MODEL_REPLICA: dict[str, Field] = {"model": NAMED, "version": VERSION, **AT_REPLICA}
OF_SERVER: dict[str, Field] = {"server": NAMED, "generation": SIZE_0}
OF_MODEL: dict[str, Field] = {"model": NAMED, "generation": SIZE_0}
OF_PIPELINE: dict[str, Field] = {"pipeline": NAMED, "generation": SIZE_0}
OF_EXPERIMENT: dict[str, Field] = {"experiment": NAMED, "generation": SIZE_0}
RESPONDER: dict[str, Field] = {"role": ROLE, "responder": NAMED}

EVENTS: dict[str, dict[str, Field]] = {
    "ServerDeclared": {
        **OF_SERVER,
        "expected_replicas": (number(-1), -1),
        "min_replicas": SIZE_0,
        "max_replicas": SIZE_0,
        "shared": (flag, True),
    },
    "ServerRemoved": OF_SERVER,
    "ServerReplicaConnected": {
        **AT_REPLICA,
        "capabilities": (trimmed, []),
        "memory": SIZE_0,
        "available_memory": SIZE_0,  # its default is `memory`, see check_event
        "shared": (flag, True),
        "loaded_models": (list_of(loaded), []),
        "inference_host": (text, ""),
        "http_port": SIZE_0,
        "grpc_port": SIZE_0,
    },
    "ServerReplicaDisconnected": {**AT_REPLICA, "reason": REASON},
    "ServerReplicaDraining": AT_REPLICA,
    "PolicyChanged": policy,
    "ModelLoadRequested": {**OF_MODEL, "spec": (spec, REQUIRED), "deployment": (deployment, {})},
    "ModelUnloadRequested": OF_MODEL,
    "ModelReplicaLoading": MODEL_REPLICA,
    "ModelReplicaLoaded": {**MODEL_REPLICA, "available_memory": SIZE},
    "ModelReplicaLoadFailed": {**MODEL_REPLICA, "reason": REASON},
    "ModelReplicaUnloading": MODEL_REPLICA,
    "ModelReplicaUnloaded": {**MODEL_REPLICA, "available_memory": SIZE},
    "ModelReplicaUnloadFailed": {**MODEL_REPLICA, "reason": REASON},
    "ModelRouteApplied": {"model": NAMED, "route_revision": SIZE},
    "ModelRouteFailed": {"model": NAMED, "route_revision": SIZE, "reason": REASON},
    "ModelScaleRequested": {"model": NAMED, "version": VERSION, "direction": (one_of("up", "down"), REQUIRED)},
    "PipelineLoadRequested": {
        **OF_PIPELINE,
        "steps": (list_of(step), []),
        "output": (output, {}),
        "allow_cycles": (flag, False),
    },
    "PipelineUnloadRequested": OF_PIPELINE,
    "ExperimentStartRequested": {
        **OF_EXPERIMENT,
        "kind": (one_of("model", "pipeline"), "model"),
        "default": (name_or_none, ""),
        "candidates": (list_of(candidate), []),
        "mirror": (null_or(mirror), None),
    },
    "ExperimentStopRequested": OF_EXPERIMENT,
    "ExperimentRouteApplied": {"experiment": NAMED, "route_revision": SIZE},
    "ExperimentRouteFailed": {"experiment": NAMED, "route_revision": SIZE, "reason": REASON},
    "ResponderConnected": RESPONDER,
    "ResponderDisconnected": RESPONDER,
    "PipelineReported": {
        **RESPONDER,
        "pipeline": NAMED,
        "version": VERSION,
        "sequence": SIZE,
        "success": (flag, REQUIRED),
        "reason": REASON,
    },
    "ClockTicked": {},
}


def check_event(line: Any) -> tuple[str, int, Json]:
    """Return (type, at_ms, data with every field) of one decoded line."""
    insist(isinstance(line, dict) and set(line) <= {"id", "type", "at_ms", "data"}, "no event")
    kind = text(line.get("type"))
    insist(kind in EVENTS, f"unknown type {kind}")
    given = line.get("data")
    data = record(EVENTS[kind])(given)
    if kind == "ServerReplicaConnected" and "available_memory" not in given:
        data["available_memory"] = data["memory"]
    return kind, size(line.get("at_ms")), data
