"""The rules of what agents and routers report about models."""

from tests.reference.turn import RefusedError, Turn, change_entry
from tests.reference.words import LIVE, Json, in_states, routed

# report -> (states it comes from, state it leads to, states in which it is a repeat)
REPLICA_REPORTS = {
    "ModelReplicaLoading": ({"LoadRequested"}, "Loading", {"Loading"}),
    "ModelReplicaLoaded": ({"LoadRequested", "Loading"}, "Loaded", LIVE | {"Draining"}),
    "ModelReplicaLoadFailed": ({"LoadRequested", "Loading"}, "LoadFailed", {"LoadFailed"}),
    "ModelReplicaUnloading": ({"UnloadRequested"}, "Unloading", {"Unloading"}),
    "ModelReplicaUnloaded": ({"UnloadRequested", "Unloading"}, "Unloaded", {"Unloaded"}),
    "ModelReplicaUnloadFailed": ({"UnloadRequested", "Unloading"}, "UnloadFailed", {"UnloadFailed"}),
}


def report(turn: Turn, kind: str, data: Json) -> None:
    origins, destination, repeated_in = REPLICA_REPORTS[kind]
    index = str(data["replica"])
    version = find_entry(turn, data)
    if version is None:
        orphan_unloaded(turn, kind, data)
        return
    state = version["replicas"][index]["state"]
    if state in repeated_in:
        return
    if state not in origins:
        raise RefusedError("unexpected_report")
    change_entry(turn, version, index, destination, data.get("reason", ""))
    if "available_memory" in data:
        turn.servers[data["server"]]["replicas"][index]["available_memory"] = data["available_memory"]
    turn.capacity_may_have_grown = kind in {"ModelReplicaLoadFailed", "ModelReplicaUnloaded"}


def find_entry(turn: Turn, data: Json) -> Json | None:
    for version in turn.models.get(data["model"], {"versions": []})["versions"]:
        here = version["version"] == data["version"] and version["server"] == data["server"]
        if here and str(data["replica"]) in version["replicas"]:
            found: Json = version
            return found
    return None


def orphan_unloaded(turn: Turn, kind: str, data: Json) -> None:
    replicas = turn.servers.get(data["server"], {"replicas": {}})["replicas"]
    replica = replicas.get(str(data["replica"]), {"orphans": []})
    pair = {"model": data["model"], "version": data["version"]}
    if kind != "ModelReplicaUnloaded" or pair not in replica["orphans"]:
        raise RefusedError("unknown_target")
    replica["orphans"].remove(pair)
    replica["available_memory"] = data["available_memory"]
    turn.capacity_may_have_grown = True


def repeats_route_report(holder: Json | None, revision: int) -> bool:
    """Guard a route report of a model or experiment; tell whether it is a repeat."""
    if holder is None:
        raise RefusedError("unknown_target")
    if revision < holder["route_revision"]:
        raise RefusedError("stale_report")
    if revision > holder["route_revision"]:
        raise RefusedError("unexpected_report")
    applied: int = holder["route_applied_revision"]
    return applied == revision


def route_applied(turn: Turn, data: Json) -> None:
    model = turn.models.get(data["model"])
    if model is None or repeats_route_report(model, data["route_revision"]):
        repeats_route_report(model, data["route_revision"])
        return
    model["route_applied_revision"] = data["route_revision"]
    before = turn.model_before(data["model"])
    for version in model["versions"]:
        for index in in_states(version, {"Loaded", "LoadedUnavailable"}):
            if routed(before, version, index):
                change_entry(turn, version, index, "Available")
        for index in in_states(version, {"UnrouteRequested"}):
            change_entry(turn, version, index, "UnloadRequested")


def route_failed(turn: Turn, data: Json) -> None:
    model = turn.models.get(data["model"])
    if model is None or repeats_route_report(model, data["route_revision"]):
        repeats_route_report(model, data["route_revision"])
        return
    before = turn.model_before(data["model"])
    for version in model["versions"]:
        for index in in_states(version, {"Loaded"}):
            if routed(before, version, index):
                change_entry(turn, version, index, "LoadedUnavailable", data["reason"])
    turn.route_failure[data["model"]] = data["reason"]
