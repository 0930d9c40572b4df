"""What differs between two states, entity by entity, and what others act upon in it."""

from collections.abc import Callable

from tests.reference.pipelines import ROLES
from tests.reference.words import Json, routes

NO_VERSION: Json = {"version": 0, "server": "", "replicas": {}, "status": "", "models_ready": False}
NO_AXIS: Json = {"sequence": 0}
AXIS_REQUESTS = {
    "Creating": "PipelineCreateRequested",
    "Rebalancing": "PipelineRebalanceRequested",
    "Terminating": "PipelineDeleteRequested",
}


def diff(before: Json, after: Json) -> list[Json]:
    changes = []
    if before["policy"] != after["policy"]:
        transitions = [{"type": "PolicyChanged"}]
        changes.append(change("policy", "cluster", before["policy"], after["policy"], transitions))
    for kind, transitions_of in KINDS.items():
        olds, news = before[f"{kind}s"], after[f"{kind}s"]
        for name in sorted({*olds, *news}):
            old, new = olds.get(name), news.get(name)
            if old != new:
                changes.append(change(kind, name, old, new, transitions_of(old, new)))
    return changes


def change(kind: str, name: str, old: Json | None, new: Json | None, transitions: list[Json]) -> Json:
    operation = "create" if old is None else "delete" if new is None else "update"
    return {"kind": kind, "name": name, "op": operation, "before": old, "after": new, "transitions": transitions}


def record(prefix: str, old: Json | None, new: Json | None) -> list[Json]:
    if old is None:
        return [{"type": f"{prefix}Added"}]
    return [{"type": f"{prefix}Removed"}] if new is None else []


def plain(prefix: str) -> Callable[[Json | None, Json | None], list[Json]]:
    return lambda old, new: record(prefix, old, new) or [{"type": f"{prefix}Changed"}]


def server(old: Json | None, new: Json | None) -> list[Json]:
    found = record("Server", old, new)
    was, now = old or {"requested_replicas": None, "replicas": {}}, new or {"requested_replicas": None, "replicas": {}}
    if now["requested_replicas"] is not None and now["requested_replicas"] != was["requested_replicas"]:
        found.append({"type": "ServerScaleRequested", "to": now["requested_replicas"]})
    for index in sorted({*was["replicas"], *now["replicas"]}, key=int):
        found += server_replica(int(index), was["replicas"].get(index), now["replicas"].get(index))
    return found


def server_replica(index: int, old: Json | None, new: Json | None) -> list[Json]:
    found = [{**each, "replica": index} for each in record("ServerReplica", old, new)]
    if new is None:
        return found
    was = old or {"draining": False, "drained": False, "connected_ms": None, "orphans": []}
    risen = [flag for flag in ("draining", "drained") if new[flag] and not was[flag]]
    found += [{"type": f"ServerReplica{flag.capitalize()}", "replica": index} for flag in risen]
    returned = was["connected_ms"] != new["connected_ms"]
    told = [pair for pair in new["orphans"] if returned or pair not in was["orphans"]]
    return found + [{"type": "OrphanUnloadRequested", "replica": index, **pair} for pair in told]


def model(old: Json | None, new: Json | None) -> list[Json]:
    found = record("Model", old, new)
    pairs = version_pairs(old, new)
    for was, now in pairs:
        found += version_record("Model", was, now)
        found += replicas(was or NO_VERSION, now or NO_VERSION)
    if new is not None:
        if new["route_revision"] != (old["route_revision"] if old else 0):
            revision = new["route_revision"]
            found.append({"type": "ModelRoutesChanged", "route_revision": revision, "routes": routes(new)})
        found += statuses("Model", pairs)
    return found


def version_pairs(old: Json | None, new: Json | None) -> list[tuple[Json | None, Json | None]]:
    olds = {version["version"]: version for version in (old or {"versions": []})["versions"]}
    news = {version["version"]: version for version in (new or {"versions": []})["versions"]}
    return [(olds.get(number), news.get(number)) for number in sorted({*olds, *news})]


def version_record(prefix: str, was: Json | None, now: Json | None) -> list[Json]:
    number = (now or was or NO_VERSION)["version"]
    return [{**each, "version": number} for each in record(f"{prefix}Version", was, now)]


def replicas(was: Json, now: Json) -> list[Json]:
    found = []
    number = now["version"] or was["version"]
    moved = was["server"] != now["server"]
    for index in sorted({*was["replicas"], *now["replicas"]}, key=int):
        old, new = was["replicas"].get(index), now["replicas"].get(index)
        where = {"version": number, "replica": int(index)}
        if old is not None and (new is None or moved):
            gone = {"from": old["state"], "to": "", "reason": ""}
            found.append({"type": "ReplicaStateChanged", **where, "server": was["server"], **gone})
            old = None
        if new is not None and (old is None or (old["state"], old["since_ms"]) != (new["state"], new["since_ms"])):
            kinds = {"LoadRequested": "ReplicaLoadRequested", "UnloadRequested": "ReplicaUnloadRequested"}
            kind = kinds.get(new["state"], "ReplicaStateChanged")
            moves = {"from": old["state"] if old else "", "to": new["state"], "reason": new["reason"]}
            found.append({"type": kind, **where, "server": now["server"], **moves})
    return found


def statuses(prefix: str, pairs: list[tuple[Json | None, Json | None]]) -> list[Json]:
    return [
        {
            "type": f"{prefix}{now['status']}",
            "version": now["version"],
            "from": (was or NO_VERSION)["status"],
            "reason": now["reason"],
        }
        for was, now in pairs
        if now is not None and now["status"] != (was or NO_VERSION)["status"]
    ]


def pipeline(old: Json | None, new: Json | None) -> list[Json]:
    found = record("Pipeline", old, new)
    pairs = version_pairs(old, new)
    for was, now in pairs:
        found += version_record("Pipeline", was, now)
        if now is None:
            continue
        for role, axis in ROLES.items():
            sequence, state = now[axis]["sequence"], now[axis]["state"]
            if sequence != (was or {axis: NO_AXIS})[axis]["sequence"] and state in AXIS_REQUESTS:
                request = {"version": now["version"], "role": role, "sequence": sequence}
                found.append({"type": AXIS_REQUESTS[state], **request})
        if now["models_ready"] != (was or NO_VERSION)["models_ready"]:
            word = "PipelineModelsReady" if now["models_ready"] else "PipelineModelsNotReady"
            found.append({"type": word, "version": now["version"]})
    return found + (statuses("Pipeline", pairs) if new is not None else [])


def experiment(old: Json | None, new: Json | None) -> list[Json]:
    found = record("Experiment", old, new)
    if new is None:
        return found
    was = old or {"route_revision": 0, "status": ""}
    if new["route_revision"] != was["route_revision"]:
        revision = {"route_revision": new["route_revision"], "wanted": new["routes_wanted"]}
        found.append({"type": "ExperimentRoutesChanged", **revision})
    if new["status"] != was["status"]:
        found.append({"type": f"Experiment{new['status']}", "from": was["status"], "reason": new["reason"]})
    return found


KINDS: dict[str, Callable[[Json | None, Json | None], list[Json]]] = {
    "server": server,
    "responder": plain("Responder"),
    "model": model,
    "pipeline": pipeline,
    "experiment": experiment,
    "failure": plain("Failure"),
}
