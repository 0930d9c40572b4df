"""Everything derived, once more: slowly, from the state document alone, in the words of the rules."""

from typing import Any

Json = dict[str, Any]

LOADING = {"LoadRequested", "Loading"}
LIVE = {"Loaded", "Available", "LoadedUnavailable"}
HELD = LOADING | LIVE
LEAVING = {"UnrouteRequested", "UnloadRequested", "Unloading"}


def indexes_in(version: Json, states: set[str]) -> list[int]:
    return sorted(int(index) for index, replica in version["replicas"].items() if replica["state"] in states)


def assignment(version: Json) -> list[int]:
    return indexes_in(version, LIVE) or indexes_in(version, {"Draining"})


def rolled_out(version: Json) -> bool:
    available = len(indexes_in(version, {"Available"}))
    wanted, least = version["deployment"]["replicas"], version["deployment"]["min_replicas"]
    return bool(wanted == 0 or available >= wanted or (least > 0 and available >= least))


def fallback(model: Json) -> Json | None:
    older: list[Json] = list(reversed(model["versions"][:-1]))
    if model["deleted"] or rolled_out(model["versions"][-1]):
        return None
    serving = [version for version in older if indexes_in(version, {"Available", "Draining"})]
    assigned = [version for version in older if assignment(version)]
    return next(iter(serving + assigned), None)


def routes(model: Json) -> list[Json]:
    if model["deleted"]:
        return []
    pair = [version for version in (model["versions"][-1], fallback(model)) if version and assignment(version)]
    sizes = [len(assignment(version)) for version in pair]
    weights = [100] * len(pair)
    if len(pair) == 2:
        weights[1] = (100 * sizes[1]) // sum(sizes)
        weights[0] = 100 - weights[1]
    return [
        {
            "version": version["version"],
            "server": version["server"],
            "replicas": assignment(version),
            "weight": weight,
        }
        for version, weight in zip(pair, weights, strict=True)
    ]


def serving(document: Json, kind: str, name: str) -> bool:
    if kind == "pipeline":
        pipeline = document["pipelines"].get(name, {"versions": []})
        return any(version["status"] == "Ready" for version in pipeline["versions"])
    model = document["models"].get(name)
    if model is None or model["deleted"]:
        return False
    versions = [model["versions"][-1], fallback(model)]
    return any(version is not None and indexes_in(version, {"Available", "Draining"}) for version in versions)


def version_facts(model: Json, version: Json) -> Json:
    """Return the derived fields of a version, but for the time."""
    latest, second = model["versions"][-1], fallback(model)
    retiring = model["deleted"] or (version is not latest and version is not second)
    loading = len(indexes_in(version, LOADING | {"Loaded"}))
    failed = indexes_in(version, {"LoadFailed", "LoadedUnavailable"})
    stuck = indexes_in(version, {"UnloadFailed"})
    available, draining = len(indexes_in(version, {"Available"})), len(indexes_in(version, {"Draining"}))
    reason, unavailable = "", loading + len(failed)
    if retiring:
        busy = LEAVING | {"Available", "Draining", "LoadedUnavailable", "Loaded"} | LOADING
        status = "TerminateFailed" if stuck else "Terminating" if indexes_in(version, busy) else "Terminated"
    elif version["placement_failure"] is not None:
        status, reason = "ScheduleFailed", version["placement_failure"]["code"]
        unavailable = max(0, version["deployment"]["replicas"] - available)
    elif failed:
        status = "Failed"
    elif version["deployment"]["replicas"] == 0 and available == 0:
        status = "ScaledDown"
    else:
        status = "Available" if rolled_out(version) else "Progressing"
    if status in {"Failed", "TerminateFailed"}:
        entries = version["replicas"]
        newest = max(
            failed if status == "Failed" else stuck, key=lambda index: (entries[str(index)]["since_ms"], index)
        )
        reason = entries[str(newest)]["reason"]
    return {
        "status": status,
        "reason": reason,
        "available_replicas": available,
        "unavailable_replicas": unavailable,
        "draining_replicas": draining,
    }


def drained(document: Json, server: str, index: str) -> bool:
    if not document["servers"][server]["replicas"][index]["draining"]:
        return False
    for model in document["models"].values():
        there = [
            version
            for version in model["versions"]
            if version["server"] == server and version["replicas"].get(index, {}).get("state") == "Draining"
        ]
        elsewhere = any(indexes_in(version, {"Available"}) for version in model["versions"])
        if there and not elsewhere and model["versions"][-1]["status"] != "ScheduleFailed":
            return False
    return True


def reserved(document: Json, server: str, index: str) -> int:
    return sum(
        version["spec"]["memory"] * version["spec"]["instances"]
        for model in document["models"].values()
        for version in model["versions"]
        if version["server"] == server and version["replicas"].get(index, {}).get("state") in LOADING
    )


def pipeline_facts(document: Json, pipeline: Json, version: Json) -> Json:
    ready = all(serving(document, "model", step["name"]) for step in version["steps"])
    axes = [version["engine"], version["gateway"]]
    states = [axis["state"] for axis in axes]
    ending = {"Terminating", "Terminated", "TerminateFailed"}
    up = {"Ready", "Rebalancing"}
    latest = version is pipeline["versions"][-1]
    if pipeline["deleted"] or (not latest and ending & set(states)):
        status = "TerminateFailed" if "TerminateFailed" in states else "Terminating"
        status = "Terminated" if states == ["Terminated"] * 2 else status
    elif "Failed" in states:
        status = "Failed"
    elif set(states) <= up:
        status = "Ready" if ready else "ModelsUnavailable"
    else:
        status = "Creating"
    cause = {"Failed": "Failed", "TerminateFailed": "TerminateFailed", "Creating": "Create"}.get(status)
    reasons = [axis["reason"] for axis in axes if axis["state"] == cause]
    return {"models_ready": ready, "status": status, "reason": (reasons or [""])[0]}


def experiment_facts(document: Json, experiment: Json) -> Json:
    kind, mirror = experiment["kind"], experiment["mirror"]
    candidates_ready = all(serving(document, kind, candidate["name"]) for candidate in experiment["candidates"])
    mirror_ready = mirror is None or serving(document, kind, mirror["name"])
    wanted = not experiment["deleted"] and candidates_ready and mirror_ready
    return {"candidates_ready": candidates_ready, "mirror_ready": mirror_ready, "routes_wanted": wanted}


def cause(document: Json, key: str) -> tuple[str, str] | None:
    """Return code and message of what is wrong with a thing, so far as its state alone tells."""
    kind, name = key.split("/")
    thing = document[f"{kind}s"][name]
    if kind == "model":
        return model_cause(thing)
    if kind == "experiment":
        return ("route_failed", thing["reason"]) if thing["status"] == "Failed" else None
    latest = thing["versions"][-1]
    for axis, code in (("engine", "engine_failed"), ("gateway", "gateway_failed")):
        if latest[axis]["state"] == "Failed":
            return code, latest[axis]["reason"]
    for version in thing["versions"]:
        for axis in ("engine", "gateway"):
            if version[axis]["state"] == "TerminateFailed":
                return "terminate_failed", version[axis]["reason"]
    return None


def model_cause(model: Json) -> tuple[str, str] | None:
    latest = model["versions"][-1]
    if latest["status"] == "ScheduleFailed":
        details = latest["placement_failure"]["details"]
        text = "; ".join(f"{detail['server']}: {detail['code']}" for detail in details)
        return latest["placement_failure"]["code"], text
    if latest["status"] == "Failed":
        return "load_failed" if indexes_in(latest, {"LoadFailed"}) else "route_failed", latest["reason"]
    stuck = [
        (replica["since_ms"], version["version"], int(index), replica["reason"])
        for version in model["versions"]
        for index, replica in version["replicas"].items()
        if replica["state"] == "UnloadFailed"
    ]
    return ("unload_failed", max(stuck)[3]) if stuck else None


def well(document: Json, key: str, code: str) -> bool:
    kind, name = key.split("/")
    thing = document[f"{kind}s"][name]
    if kind == "experiment":
        return thing["status"] in {"Active", "Stopped"}
    status = thing["versions"][-1]["status"]
    if kind == "pipeline":
        return status in {"Ready", "ModelsUnavailable", "Terminated"}
    applied = code != "route_failed" or thing["route_revision"] == thing["route_applied_revision"]
    return applied and status in {"Available", "ScaledDown", "Terminated"}
