"""The rules of servers and of what their replicas report, slowly."""

from processor.cluster.events import Event
from processor.cluster.lifecycle import REPORTS
from tests.cluster import recomputation as again
from tests.cluster.oracle import Oracle, Refused, check_generation
from tests.cluster.recomputation import HELD, LIVE, LOADING, Json


def server_declared(world: Oracle, data: Json, _: Event) -> None:
    name = data["server"]
    old = world.servers.get(name)
    if old and old["declared"] and check_generation(old["generation"], data["generation"]):
        return
    fields = ("expected_replicas", "min_replicas", "max_replicas", "shared")
    if old and old["declared"] and all(old[field] == data[field] for field in fields):
        old["generation"] = data["generation"]
        return
    server = old or {"name": name, "replicas": {}}
    was = (old["expected_replicas"], old["shared"]) if old else (None, None)
    server.update({field: data[field] for field in fields}, declared=True, requested_replicas=None)
    server["generation"] = data["generation"]
    world.servers[name] = server
    if old and was[0] != 0 and data["expected_replicas"] == 0:
        place_models_at(world, name)
    if old and ((was[0] == 0 and data["expected_replicas"] != 0) or (data["shared"] and not was[1])):
        world.grown = True


def place_models_at(world: Oracle, server: str) -> None:
    for name, model in world.models.items():
        for version in model["versions"]:
            if version["server"] == server and again.indexes_in(version, HELD | {"Draining"}):
                world.to_place.append(name)


def server_removed(world: Oracle, data: Json, _: Event) -> None:
    server = world.servers.get(data["server"])
    if server is None or not server["declared"]:
        return
    check_generation(server["generation"], data["generation"])
    server.update(declared=False, expected_replicas=0, min_replicas=0, max_replicas=0, requested_replicas=None)
    server["generation"] = data["generation"]
    place_models_at(world, data["server"])


def lose(world: Oracle, name: str, version: Json, index: str) -> None:
    if not world.retired_before(name, version):
        del version["replicas"][index]
        world.to_place.append(name)
    elif version["replicas"][index]["state"] != "Unloaded":
        world.set_entry(version, index, "Unloaded")


def entries_at(world: Oracle, server: str, index: str) -> list[tuple[str, Json]]:
    return [
        (name, version)
        for name in sorted(world.models)
        for version in world.models[name]["versions"]
        if version["server"] == server and index in version["replicas"]
    ]


def connected(world: Oracle, data: Json, _: Event) -> None:
    name, index = data["server"], str(data["replica"])
    unknown = {"name": name, "declared": False, "generation": 0, "expected_replicas": -1, "min_replicas": 0}
    unknown |= {"max_replicas": 0, "shared": data["shared"], "requested_replicas": None, "replicas": {}}
    server = world.servers.setdefault(name, unknown)
    if not server["declared"]:
        server["shared"] = data["shared"]
    listed = {(loaded["model"], loaded["version"]) for loaded in data["loaded_models"]}
    found = entries_at(world, name, index)
    for model, version in found:
        state = version["replicas"][index]["state"]
        if (model, version["version"]) not in listed:
            lose(world, model, version, index)
        elif not world.retired_before(model, version) and state in HELD | {"Draining", "LoadFailed"}:
            world.set_entry(version, index, "Loaded")
        else:
            world.set_entry(version, index, "UnloadRequested")
    for model, _version in found:
        latest = world.models[model]["versions"][-1]
        if len(again.indexes_in(latest, HELD)) > latest["deployment"]["replicas"]:
            world.to_place.append(model)
    orphans = sorted(listed - {(model, version["version"]) for model, version in found})
    available = data["memory"] if data["available_memory"] is None else data["available_memory"]
    server["replicas"][index] = {
        "capabilities": sorted({word.strip() for word in data["capabilities"]}),
        "memory": data["memory"],
        "available_memory": available,
        "draining": False,
        "drained": False,
        "inference_host": data["inference_host"],
        "http_port": data["http_port"],
        "grpc_port": data["grpc_port"],
        "connected_ms": world.at_ms,
        "orphans": [{"model": model, "version": version} for model, version in orphans],
    }
    world.grown = world.connected = True


def disconnected(world: Oracle, data: Json, _: Event) -> None:
    name, index = data["server"], str(data["replica"])
    if index not in world.servers.get(name, {"replicas": {}})["replicas"]:
        return
    del world.servers[name]["replicas"][index]
    for model, version in entries_at(world, name, index):
        lose(world, model, version, index)
    world.grown = True


def draining(world: Oracle, data: Json, _: Event) -> None:
    name, index = data["server"], str(data["replica"])
    record = world.servers.get(name, {"replicas": {}})["replicas"].get(index)
    if record is None:
        raise Refused("unknown_target")
    if record["draining"]:
        return
    record["draining"] = True
    for model, version in entries_at(world, name, index):
        state = version["replicas"][index]["state"]
        if state in LIVE | LOADING:
            world.set_entry(version, index, "Draining" if state in LIVE else "UnloadRequested")
            world.to_place.append(model)


def policy(world: Oracle, data: Json, _: Event) -> None:
    world.document["policy"] = data


def report(world: Oracle, name: str, data: Json) -> None:
    rule = REPORTS[name]
    index = str(data["replica"])
    record = world.servers.get(data["server"], {"replicas": {}})["replicas"].get(index)
    target = [
        version
        for model, version in entries_at(world, data["server"], index)
        if (model, version["version"]) == (data["model"], data["version"])
    ]
    if not target:
        orphan = {"model": data["model"], "version": data["version"]}
        if name != "ModelReplicaUnloaded" or record is None or orphan not in record["orphans"]:
            raise Refused("unknown_target")
        record["orphans"].remove(orphan)
        record["available_memory"] = data["available_memory"]
        world.grown = True
        return
    state = target[0]["replicas"][index]["state"]
    if state in rule.repeats:
        return
    if state not in rule.sources:
        raise Refused("unexpected_report")
    world.set_entry(target[0], index, rule.target, data.get("reason", ""))
    if "available_memory" in data:
        assert record is not None
        record["available_memory"] = data["available_memory"]
    world.grown = name in {"ModelReplicaLoadFailed", "ModelReplicaUnloaded"}
