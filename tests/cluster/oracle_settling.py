"""The steps inside one event, slowly: retry, then everything derived anew for everything."""

import copy

from tests.cluster import recomputation as again
from tests.cluster.oracle import Oracle
from tests.cluster.recomputation import HELD, Json

UP = {"Ready", "Rebalancing"}


def retry(world: Oracle) -> None:
    order = []
    for name, model in world.models.items():
        latest = model["versions"][-1]
        failed = again.indexes_in(latest, {"LoadFailed"})
        short = len(again.indexes_in(latest, HELD)) < latest["deployment"]["replicas"]
        entry = world.failures.get(f"model/{name}")
        tries = (
            bool(failed) and world.connected and (entry or {"attempts": 0})["attempts"] < world.policy["retry_limit"]
        )
        if not model["deleted"] and (latest["placement_failure"] is not None or (not failed and short) or tries):
            order.append((entry["since_ms"] if entry else latest["status_since_ms"], name, tries))
    for _, name, tries in sorted(order):
        retry_one(world, name, tries=tries)


def retry_one(world: Oracle, name: str, *, tries: bool) -> None:
    kept = copy.deepcopy(world.document), set(world.emptied)
    model = world.models[name]
    latest = model["versions"][-1]
    failed_before, held_before = latest["placement_failure"], len(again.indexes_in(latest, HELD))
    if tries:
        for index in again.indexes_in(latest, {"LoadFailed"}):
            del latest["replicas"][str(index)]
        if f"model/{name}" in world.failures:
            world.failures[f"model/{name}"]["attempts"] += 1
    world.place(name)
    placed = world.models[name]["versions"][-1]
    better = failed_before is not None or len(again.indexes_in(placed, HELD)) > held_before
    if placed["placement_failure"] is not None or not better:
        world.document, world.emptied = kept


def settle(world: Oracle) -> None:
    for name in world.to_place:
        world.place(name)
    if world.grown:
        retry(world)
    for name in sorted(world.models):
        settle_model(world, name)
    for name in sorted(world.servers):
        settle_server(world, name)
    for name in sorted(world.pipelines):
        settle_pipeline(world, name)
    for name in sorted(world.experiments):
        settle_experiment(world, name)
    for kind in ("model", "pipeline", "experiment"):
        for name in sorted(world.document[f"{kind}s"]):
            settle_failure(world, f"{kind}/{name}")
    gone = [key for key in world.failures if key.split("/")[1] not in world.document[f"{key.split('/')[0]}s"]]
    for key in gone:
        del world.failures[key]


def settle_server(world: Oracle, name: str) -> None:
    server = world.servers[name]
    for index, record in server["replicas"].items():
        record["drained"] = again.drained(world.document, name, index)
    if not server["declared"] and not server["replicas"]:
        del world.servers[name]
    elif name in world.emptied:
        world.scale_down(server)


def settle_model(world: Oracle, name: str) -> None:
    model = world.models[name]
    latest, second = model["versions"][-1], again.fallback(model)
    kept = []
    for version in model["versions"]:
        retiring = model["deleted"] or (version is not latest and version is not second)
        if retiring:
            for index in sorted(version["replicas"]):
                world.release(name, version, index)
        if model["deleted"] or version is not latest:
            version["placement_failure"] = None
        left = len(version["replicas"]) > len(again.indexes_in(version, {"Unloaded"}))
        if not retiring or version is latest or left:
            kept.append(version)
    model["versions"] = kept
    for version in kept:
        facts = again.version_facts(model, version)
        if facts["status"] != version["status"]:
            version["status_since_ms"] = world.at_ms
        version.update(facts)
    old = world.before["models"].get(name)
    routes = again.routes(model)
    if routes != (again.routes(old) if old else []) or newly_loaded(world, name, routes):
        model["route_revision"] += 1


def newly_loaded(world: Oracle, name: str, routes: list[Json]) -> bool:
    for route in routes:
        version = next(one for one in world.models[name]["versions"] if one["version"] == route["version"])
        for index in route["replicas"]:
            entry = version["replicas"][str(index)]
            was = entry_before(world, name, version, str(index))
            if entry["state"] == "Loaded" and (was["state"], was["since_ms"]) != ("Loaded", entry["since_ms"]):
                return True
    return False


def entry_before(world: Oracle, name: str, version: Json, index: str) -> Json:
    for old in world.before["models"].get(name, {"versions": []})["versions"]:
        if (old["version"], old["server"]) == (version["version"], version["server"]):
            entry: Json = old["replicas"].get(index, {"state": "", "since_ms": -1})
            return entry
    return {"state": "", "since_ms": -1}


def settle_pipeline(world: Oracle, name: str) -> None:
    pipeline = world.pipelines[name]
    versions = pipeline["versions"]
    for place, version in enumerate(versions):
        if {version["engine"]["state"], version["gateway"]["state"]} <= UP:
            for older in versions[:place]:
                world.end(older)
    done = [version["engine"]["state"] == "Terminated" == version["gateway"]["state"] for version in versions[:-1]]
    pipeline["versions"] = [version for version, over in zip(versions, [*done, False], strict=True) if not over]
    for version in pipeline["versions"]:
        facts = again.pipeline_facts(world.document, pipeline, version)
        if facts["status"] != version["status"]:
            version["status_since_ms"] = world.at_ms
        version.update(facts)


def settle_experiment(world: Oracle, name: str) -> None:
    experiment = world.experiments[name]
    facts = again.experiment_facts(world.document, experiment)
    wanted = facts["routes_wanted"]
    if wanted != experiment["routes_wanted"] or (wanted and name in world.replaced):
        experiment["route_revision"] += 1
        experiment["failed"] = None
    experiment.update(facts, active=experiment["active"] and wanted)
    old = world.before["experiments"].get(name)
    unknown = experiment["reason"] if experiment["status"] == "Failed" else None
    reason = experiment.pop("failed", unknown)
    status = "Stopped" if experiment["deleted"] else "Active" if experiment["active"] else "Pending"
    if status == "Pending" and reason is not None:
        status = "Failed"
    experiment.update(status=status, reason=reason if status == "Failed" else "")
    if old is None or old["status"] != status:
        experiment["status_since_ms"] = world.at_ms


def settle_failure(world: Oracle, key: str) -> None:
    cause, entry = again.cause(world.document, key), world.failures.get(key)
    if cause is None and world.route_failed and key == f"model/{world.route_failed[0]}":
        cause = ("route_failed", world.route_failed[1])
    if cause is not None and entry is None:
        due = world.at_ms + world.policy["retry_interval_ms"]
        world.failures[key] = {"since_ms": world.at_ms, "attempts": 0, "next_retry_ms": due}
    if cause is not None:
        world.failures[key].update(code=cause[0], message=cause[1])
    elif entry is not None and again.well(world.document, key, entry["code"]):
        del world.failures[key]
