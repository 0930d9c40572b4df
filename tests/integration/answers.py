"""What agents, routers and responders say to a change, now and then that it did not work."""

from collections.abc import Iterator
from random import Random
from typing import Any

FAILS_SHARE = 0.07
AVAILABLE_BYTES = (4 << 30, 14 << 30)
RESPONDERS = {
    "dataflow_engine": ("engine-0", "engine-1"),
    "pipeline_gateway": ("gateway-0",),
}
PIPELINE_REQUESTS = {"PipelineCreateRequested", "PipelineRebalanceRequested", "PipelineDeleteRequested"}

Event = tuple[str, dict[str, Any]]


def answers_to(change: Any, random: Random) -> Iterator[Event]:
    """Yield the events that follow from one changed entity, in the order in which they would be sent."""
    for transition in change.transitions:
        match transition.type:
            case "ReplicaLoadRequested":
                yield from _loaded(_place(change.name, transition), random)
            case "ReplicaUnloadRequested":
                yield from _unloaded(_place(change.name, transition), random)
            case "ModelRoutesChanged":
                yield _routed("Model", change.name, transition.route_revision, random)
            case "ExperimentRoutesChanged":
                yield _routed("Experiment", change.name, transition.route_revision, random)
            case "OrphanUnloadRequested":
                place = {"model": transition.model, "version": transition.version}
                place |= {"server": change.name, "replica": transition.replica}
                yield "ModelReplicaUnloaded", {**place, "available_memory": random.randint(*AVAILABLE_BYTES)}
            case request if request in PIPELINE_REQUESTS:
                yield from _reported(change.name, transition, random)


def _place(model: str, transition: Any) -> dict[str, Any]:
    place = {"version": transition.version, "server": transition.server, "replica": transition.replica}
    return {"model": model, **place}


def _loaded(place: dict[str, Any], random: Random) -> Iterator[Event]:
    yield "ModelReplicaLoading", place
    if random.random() < FAILS_SHARE:
        yield "ModelReplicaLoadFailed", {**place, "reason": "weights did not match their checksum"}
    else:
        yield "ModelReplicaLoaded", {**place, "available_memory": random.randint(*AVAILABLE_BYTES)}


def _unloaded(place: dict[str, Any], random: Random) -> Iterator[Event]:
    yield "ModelReplicaUnloading", place
    if random.random() < FAILS_SHARE:
        yield "ModelReplicaUnloadFailed", {**place, "reason": "the server is busy"}
    else:
        yield "ModelReplicaUnloaded", {**place, "available_memory": random.randint(*AVAILABLE_BYTES)}


def _routed(kind: str, name: str, revision: int, random: Random) -> Event:
    told = {kind.lower(): name, "route_revision": revision}
    if random.random() < FAILS_SHARE:
        return f"{kind}RouteFailed", {**told, "reason": "the router was reloading"}
    return f"{kind}RouteApplied", told


def _reported(pipeline: str, transition: Any, random: Random) -> Iterator[Event]:
    for responder in RESPONDERS[transition.role]:
        success = random.random() >= FAILS_SHARE
        told = {"role": transition.role, "responder": responder, "pipeline": pipeline}
        told |= {"version": transition.version, "sequence": transition.sequence}
        yield "PipelineReported", {**told, "success": success, "reason": "" if success else "no topic"}
