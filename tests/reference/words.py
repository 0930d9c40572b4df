"""The words that the rules use, each read off one state document by looking at all of it."""

from typing import Any

Json = dict[str, Any]

NUMBER_MAX = 2**63 - 1
NAME_LENGTH_MAX = 253

LOADING = {"LoadRequested", "Loading"}
LIVE = {"Loaded", "Available", "LoadedUnavailable"}
HELD = LOADING | LIVE
SERVING = {"Available", "Draining"}
LEAVING = {"UnrouteRequested", "UnloadRequested", "Unloading"}
GONE = {"LoadFailed", "Unloaded"}


def empty_state() -> Json:
    policy = {
        "retry_interval_ms": 60000,
        "retry_limit": 10,
        "tombstone_ttl_ms": 86400000,
        "scale_down_stabilisation_ms": 60000,
        "model_autoscaling": True,
        "server_autoscaling": True,
        "pack_servers": False,
    }
    tables = ("servers", "models", "pipelines", "experiments", "responders", "failures")
    return {**{table: {} for table in tables}, "policy": policy}


def copied(value: Any) -> Any:
    """Return a deep copy of a JSON value."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def versions_of_all(state: Json) -> list[Json]:
    return [version for name in sorted(state["models"]) for version in state["models"][name]["versions"]]


def required(version: Json) -> int:
    memory: int = version["spec"]["memory"] * version["spec"]["instances"]
    return memory


def free(state: Json, server: str, index: str) -> int:
    reserved = sum(
        required(version)
        for version in versions_of_all(state)
        if version["server"] == server
        and index in version["replicas"]
        and version["replicas"][index]["state"] in LOADING
    )
    available: int = state["servers"][server]["replicas"][index]["available_memory"]
    return max(0, available - reserved)


def in_states(version: Json, states: set[str]) -> list[str]:
    """Return the indexes whose entry is in one of `states`, ascending."""
    return sorted((index for index, entry in version["replicas"].items() if entry["state"] in states), key=int)


def latest(model: Json) -> Json:
    version: Json = model["versions"][-1]
    return version


def assignment(version: Json) -> list[str]:
    return in_states(version, LIVE) or in_states(version, {"Draining"})


def rolled_out(version: Json) -> bool:
    replicas, minimum = version["deployment"]["replicas"], version["deployment"]["min_replicas"]
    available = len(in_states(version, {"Available"}))
    return bool(replicas == 0 or available >= replicas or 0 < minimum <= available)


def fallback(model: Json) -> Json | None:
    if model["deleted"] or rolled_out(latest(model)):
        return None
    older: list[Json] = list(reversed(model["versions"][:-1]))
    for version in older:
        if in_states(version, SERVING):
            return version
    for version in older:
        if assignment(version):
            return version
    return None


def retiring(model: Json, version: Json) -> bool:
    return bool(model["deleted"]) or (version is not latest(model) and version is not fallback(model))


def routes(model: Json | None) -> list[Json]:
    if model is None or model["deleted"]:
        return []
    newest, second = latest(model), fallback(model)
    here = assignment(newest)
    there = assignment(second) if second else []
    if second and here and there:
        weight = 100 * len(there) // (len(there) + len(here))
        return [route(newest, here, 100 - weight), route(second, there, weight)]
    if here:
        return [route(newest, here, 100)]
    if second and there:
        return [route(second, there, 100)]
    return []


def route(version: Json, indexes: list[str], weight: int) -> Json:
    replicas = [int(index) for index in indexes]
    return {"version": version["version"], "server": version["server"], "replicas": replicas, "weight": weight}


def routed(model: Json | None, version: Json, index: str) -> bool:
    """Tell whether the routes of `model` lead to that replica of a version (which may be of a later state)."""
    return any(
        leads["version"] == version["version"]
        and leads["server"] == version["server"]
        and int(index) in leads["replicas"]
        for leads in routes(model)
    )


def model_serves(state: Json, name: str) -> bool:
    model = state["models"].get(name)
    if model is None or model["deleted"]:
        return False
    second = fallback(model)
    return bool(in_states(latest(model), SERVING) or (second is not None and in_states(second, SERVING)))


def pipeline_serves(state: Json, name: str) -> bool:
    pipeline = state["pipelines"].get(name)
    return pipeline is not None and any(version["status"] == "Ready" for version in pipeline["versions"])


def candidate_serves(state: Json, kind: str, name: str) -> bool:
    return model_serves(state, name) if kind == "model" else pipeline_serves(state, name)
