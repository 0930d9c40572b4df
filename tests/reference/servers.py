"""The rules of servers and their replicas, and what follows for servers from every event."""

from collections.abc import Iterator

from tests.reference.placement import largest_deployment
from tests.reference.turn import RefusedError, Turn, announce_entry, change_entry, check_generation, repeats
from tests.reference.words import HELD, LEAVING, LIVE, LOADING, Json, in_states, latest, retiring, versions_of_all

SIZES = ("expected_replicas", "min_replicas", "max_replicas")


def declare(turn: Turn, data: Json) -> None:
    name = data["server"]
    server = turn.servers.get(name)
    wanted = {key: data[key] for key in (*SIZES, "shared")}
    if server is None:
        turn.servers[name] = {**wanted, "name": name, "declared": True, "generation": data["generation"]}
        turn.servers[name].update(requested_replicas=None, replicas={})
        return
    if server["declared"]:
        check_generation(server["generation"], data["generation"])
        if repeats(server["generation"], data["generation"]):
            return
    known = {key: server[key] for key in wanted}
    server["generation"] = data["generation"]
    if server["declared"] and known == wanted:
        return
    server.update(wanted, declared=True, requested_replicas=None)
    if known["expected_replicas"] != 0 and wanted["expected_replicas"] == 0:
        place_what_is_on(turn, name)
    came_to_expect = known["expected_replicas"] == 0 and wanted["expected_replicas"] != 0
    turn.capacity_may_have_grown = came_to_expect or (wanted["shared"] and not known["shared"])


def place_what_is_on(turn: Turn, server: str) -> None:
    for name, model in turn.models.items():
        on_it = [version for version in model["versions"] if version["server"] == server]
        if any(in_states(version, HELD | {"Draining"}) for version in on_it):
            turn.place.append(name)


def remove(turn: Turn, data: Json) -> None:
    server = turn.servers.get(data["server"])
    if server is None or not server["declared"]:
        return
    check_generation(server["generation"], data["generation"])
    server.update(declared=False, generation=data["generation"], requested_replicas=None)
    server.update(expected_replicas=0, min_replicas=0, max_replicas=0)
    place_what_is_on(turn, data["server"])


def entries_on(turn: Turn, server: str, index: str) -> Iterator[tuple[str, Json, bool]]:
    """Yield (model, version, retiring before this event) of every entry on a server replica."""
    for name, model in turn.models.items():
        before = turn.before["models"][name]
        for version, as_before in zip(model["versions"], before["versions"], strict=True):
            if version["server"] == server and index in version["replicas"]:
                yield name, version, retiring(before, as_before)


def connect(turn: Turn, data: Json) -> None:
    name, index = data["server"], str(data["replica"])
    server = turn.servers.setdefault(name, undeclared(name))
    if not server["declared"]:
        server["shared"] = data["shared"]
    listed = {(pair["model"], pair["version"]) for pair in data["loaded_models"]}
    wanted = [(model, version, leaves) for model, version, leaves in entries_on(turn, name, index)]
    for model, version, leaves in wanted:
        if (model, version["version"]) not in listed:
            lose(turn, model, version, index, leaves=leaves)
            continue
        suits = not leaves and version["replicas"][index]["state"] in HELD | {"Draining", "LoadFailed"}
        announce_entry(turn, version, index, "Loaded" if suits else "UnloadRequested")
    for model in {model for model, _, _ in wanted}:
        version = latest(turn.models[model])
        if len(in_states(version, HELD)) > version["deployment"]["replicas"]:
            turn.place.append(model)
    orphans = sorted(listed - {(model, version["version"]) for model, version, _ in wanted})
    server["replicas"][index] = {
        **{key: data[key] for key in ("capabilities", "memory", "available_memory")},
        **{key: data[key] for key in ("inference_host", "http_port", "grpc_port")},
        "draining": False,
        "drained": False,
        "connected_ms": turn.at_ms,
        "orphans": [{"model": model, "version": version} for model, version in orphans],
    }
    turn.capacity_may_have_grown = True
    turn.replica_connected = True


def undeclared(name: str) -> Json:
    numbers = {"generation": 0, "expected_replicas": -1, "min_replicas": 0, "max_replicas": 0}
    return {"name": name, "declared": False, **numbers, "shared": True, "requested_replicas": None, "replicas": {}}


def lose(turn: Turn, model: str, version: Json, index: str, *, leaves: bool) -> None:
    if leaves:
        change_entry(turn, version, index, "Unloaded")
    else:
        del version["replicas"][index]
        turn.place.append(model)


def disconnect(turn: Turn, data: Json) -> None:
    name, index = data["server"], str(data["replica"])
    if index not in turn.servers.get(name, {"replicas": {}})["replicas"]:
        return
    del turn.servers[name]["replicas"][index]
    for model, version, leaves in list(entries_on(turn, name, index)):
        lose(turn, model, version, index, leaves=leaves)
    turn.capacity_may_have_grown = True


def drain(turn: Turn, data: Json) -> None:
    name, index = data["server"], str(data["replica"])
    if index not in turn.servers.get(name, {"replicas": {}})["replicas"]:
        raise RefusedError("unknown_target")
    replica = turn.servers[name]["replicas"][index]
    if replica["draining"]:
        return
    replica["draining"] = True
    for model, version, _ in list(entries_on(turn, name, index)):
        state = version["replicas"][index]["state"]
        if state in LIVE | LOADING:
            change_entry(turn, version, index, "Draining" if state in LIVE else "UnloadRequested")
            turn.place.append(model)


def settle_servers(turn: Turn) -> None:
    for name in sorted(turn.servers):
        server = turn.servers[name]
        for index, replica in server["replicas"].items():
            replica["drained"] = replica["draining"] and drained(turn.state, name, index)
        if not server["declared"] and not server["replicas"]:
            del turn.servers[name]
        elif name in turn.emptied_servers:
            scale_down(turn.state, name)


def drained(state: Json, server: str, index: str) -> bool:
    for model in state["models"].values():
        here = [version for version in model["versions"] if version["server"] == server]
        waiting = any(version["replicas"].get(index, {}).get("state") == "Draining" for version in here)
        if waiting and latest(model)["status"] != "ScheduleFailed" and not available_elsewhere(model, server, index):
            return False
    return True


def available_elsewhere(model: Json, server: str, index: str) -> bool:
    return any(
        (version["server"], other) != (server, index)
        for version in model["versions"]
        for other in in_states(version, {"Available"})
    )


def scale_down(state: Json, name: str) -> None:
    """Ask for fewer replicas when some are empty, or more of them than any model uses (pack_servers)."""
    server, policy = state["servers"][name], state["policy"]
    expected, outstanding = server["expected_replicas"], server["requested_replicas"]
    scales_up = outstanding is not None and outstanding > expected
    if not policy["server_autoscaling"] or scales_up or expected <= 1:
        return
    here = [version for version in versions_of_all(state) if version["server"] == name]
    used = {index for version in here for index in in_states(version, HELD | LEAVING | {"Draining"})}
    empty = len(set(server["replicas"]) - used)
    target = max(server["min_replicas"], 1, expected - empty) if empty > 0 else expected
    hosted = largest_deployment(state, name)
    if policy["pack_servers"] and hosted > 0:
        target = min(target, max(server["min_replicas"], 1, hosted))
    if target < expected:
        server["requested_replicas"] = target
