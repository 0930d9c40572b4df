"""The rules of what users, autoscalers and the router say about models, slowly."""

from processor.cluster.events import Event
from tests.cluster import recomputation as again
from tests.cluster.oracle import Oracle, Refused, check_generation, check_revision, fresh
from tests.cluster.recomputation import HELD, Json


def load(world: Oracle, data: Json, _: Event) -> None:
    name, spec = data["model"], fresh(data["spec"])
    spec["requirements"] = sorted({word.strip() for word in spec["requirements"]})
    model = world.models.get(name)
    if model is None or model["deleted"]:
        blank = {"name": name, "route_revision": 0, "route_applied_revision": 0, "versions": []}
        model = world.models.setdefault(name, blank)
        model.update(generation=data["generation"], deleted=False, deleted_ms=None)
        world.add_version(model, spec, data["deployment"])
        world.failures.pop(f"model/{name}", None)
        world.to_place.append(name)
        return
    latest = model["versions"][-1]
    short = len(again.indexes_in(latest, HELD)) < latest["deployment"]["replicas"]
    lacking = latest["status"] in {"ScheduleFailed", "Failed"} or short
    if check_generation(model["generation"], data["generation"]):
        if lacking:
            entry = world.failures.pop(f"model/{name}", None)
            kept = fresh(world.document)
            world.place(name)
            if world.document == kept and entry is not None:
                world.failures[f"model/{name}"] = entry
        return
    world.failures.pop(f"model/{name}", None)
    model["generation"] = data["generation"]
    if latest["spec"] != spec:
        world.add_version(model, spec, data["deployment"])
    elif latest["deployment"] != data["deployment"]:
        latest["deployment"] = fresh(data["deployment"])
    elif not lacking:
        return
    world.to_place.append(name)


def unload(world: Oracle, data: Json, _: Event) -> None:
    model = world.models.get(data["model"])
    if model is None:
        raise Refused("unknown_target")
    if model["deleted"]:
        for version in model["versions"]:
            for index in again.indexes_in(version, {"UnloadFailed"}):
                world.set_entry(version, index, "UnloadRequested")
                world.failures.pop(f"model/{data['model']}", None)
        return
    check_generation(model["generation"], data["generation"])
    model.update(generation=data["generation"], deleted=True, deleted_ms=world.at_ms)
    world.failures.pop(f"model/{data['model']}", None)


def scale(world: Oracle, data: Json, _: Event) -> None:
    model = world.models.get(data["model"])
    if not world.policy["model_autoscaling"]:
        raise Refused("autoscaling_off")
    if model is None or model["deleted"]:
        raise Refused("unknown_target")
    latest = model["versions"][-1]
    if latest["version"] != data["version"]:
        raise Refused("stale_version")
    wanted = latest["deployment"]
    if wanted["min_replicas"] == 0 and wanted["max_replicas"] == 0:
        raise Refused("autoscaling_off")
    if data["direction"] == "up":
        if latest["status"] != "Available":
            raise Refused("not_available")
        if wanted["max_replicas"] and wanted["replicas"] + 1 > wanted["max_replicas"]:
            raise Refused("at_limit")
        wanted["replicas"] += 1
    else:
        if wanted["replicas"] - 1 < max(wanted["min_replicas"], 1):
            raise Refused("at_limit")
        if world.at_ms - latest["status_since_ms"] < world.policy["scale_down_stabilisation_ms"]:
            raise Refused("too_soon")
        wanted["replicas"] -= 1
        world.grown = True
    world.to_place.append(data["model"])


def routed(world: Oracle, data: Json, _: Event) -> None:
    model = world.models.get(data["model"])
    if check_revision(model, data["route_revision"]) or model is None:
        return
    model["route_applied_revision"] = data["route_revision"]
    for version in model["versions"]:
        for index in again.indexes_in(version, {"Loaded", "LoadedUnavailable"}):
            if index in world.announced(data["model"], version):
                world.set_entry(version, index, "Available")
        for index in again.indexes_in(version, {"UnrouteRequested"}):
            world.set_entry(version, index, "UnloadRequested")


def unroutable(world: Oracle, data: Json, _: Event) -> None:
    model = world.models.get(data["model"])
    if check_revision(model, data["route_revision"]) or model is None:
        return
    for version in model["versions"]:
        for index in again.indexes_in(version, {"Loaded"}):
            if index in world.announced(data["model"], version):
                world.set_entry(version, index, "LoadedUnavailable", data["reason"])
    world.route_failed = (data["model"], data["reason"])
