"""Where the replicas of a model's latest version go (placement), and which server is asked to grow for it."""

from tests.reference.turn import Turn, add_version, announce_entry, change_entry
from tests.reference.words import GONE, HELD, LIVE, LOADING, Json, free, in_states, latest, required, routed


def place(turn: Turn, name: str) -> bool:
    """Place a model again; tell whether it succeeded."""
    model = turn.models.get(name)
    if model is None or model["deleted"]:
        return False
    version = latest(model)
    if version["deployment"]["replicas"] == 0:
        select(turn, name, version, [])
        return True
    codes = {server: filter_code(turn.servers[server], server, version) for server in sorted(turn.servers)}
    passing = [server for server, code in codes.items() if not code]
    chosen, by_minimum = choose(turn, version, passing)
    if chosen:
        bind_and_select(turn, name, *chosen)
    else:
        fail(version, codes, "insufficient_replicas" if passing else "no_matching_server")
    if by_minimum or not chosen:
        ask_for_more(turn, name, passing)
    return chosen is not None


def filter_code(server: Json, name: str, version: Json) -> str:
    pinned = version["spec"]["server"]
    if not server["replicas"]:
        return "no_replicas"
    if pinned and name != pinned:
        return "pinned_elsewhere"
    if not pinned and not server["shared"]:
        return "not_shared"
    return "expects_none" if server["expected_replicas"] == 0 else ""


def suitable(turn: Turn, version: Json, server: str) -> list[str]:
    """Return the indexes of a server that can take the version, best first."""
    fitting = []
    for index, replica in turn.servers[server]["replicas"].items():
        state = version["replicas"].get(index, {}).get("state", "") if version["server"] == server else ""
        able = set(version["spec"]["requirements"]) <= set(replica["capabilities"])
        room = free(turn.state, server, index)
        if replica["draining"]:
            continue
        if state in HELD or state == "UnrouteRequested" or (able and required(version) <= room):
            rank = 0 if state == "Available" else 1 if state in HELD else 2
            fitting.append((rank, -room, int(index)))
    return [str(index) for _, _, index in sorted(fitting)]


def choose(turn: Turn, version: Json, passing: list[str]) -> tuple[tuple[str, list[str]] | None, bool]:
    """Return the server and its indexes, and whether only the minimum pass found them."""
    replicas, minimum = version["deployment"]["replicas"], version["deployment"]["min_replicas"]
    order = sorted(passing, key=lambda server: (server != version["server"], server))
    fitting = {server: suitable(turn, version, server)[:replicas] for server in order}
    for server in order:
        if len(fitting[server]) == replicas:
            return (server, fitting[server]), False
    if minimum > 0 and order:
        best = max(order, key=lambda server: len(fitting[server]))  # max() keeps the first of equals
        if len(fitting[best]) >= minimum:
            return (best, fitting[best]), True
    return None, False


def bind_and_select(turn: Turn, name: str, server: str, indexes: list[str]) -> None:
    model = turn.models[name]
    version = latest(model)
    if version["server"] != server:
        if any(entry["state"] not in GONE for entry in version["replicas"].values()):
            version = add_version(turn, model, version["spec"], version["deployment"])
        version["replicas"] = {}
        version["server"] = server
    select(turn, name, version, indexes)


def select(turn: Turn, name: str, version: Json, indexes: list[str]) -> None:
    """Let the version have these indexes and no others (none: Draining entries leave too)."""
    for index in indexes:
        state = version["replicas"].get(index, {}).get("state", "")
        if state == "UnrouteRequested":
            announce_entry(turn, version, index, "Loaded")
        elif state not in HELD:
            announce_entry(turn, version, index, "LoadRequested")
            forget_orphan(turn, version["server"], index, {"model": name, "version": version["version"]})
    for index in sorted(set(version["replicas"]) - set(indexes), key=int):
        draining = version["replicas"][index]["state"] == "Draining"
        if not draining or version["deployment"]["replicas"] == 0:
            leave(turn, name, version, index)
    version["placement_failure"] = None


def forget_orphan(turn: Turn, server: str, index: str, pair: Json) -> None:
    replica = turn.servers[server]["replicas"][index]
    replica["orphans"] = [orphan for orphan in replica["orphans"] if orphan != pair]


def leave(turn: Turn, name: str, version: Json, index: str) -> None:
    """Map the state of an entry that is not wanted any more (retiring)."""
    state = version["replicas"][index]["state"]
    if state in HELD | {"Draining"} and routed(turn.model_before(name), version, index):
        change_entry(turn, version, index, "UnrouteRequested")
    elif state in LIVE | LOADING | {"Draining"}:
        change_entry(turn, version, index, "UnloadRequested")
    elif state == "LoadFailed":
        change_entry(turn, version, index, "Unloaded")


def fail(version: Json, codes: dict[str, str], code: str) -> None:
    if len(in_states(version, GONE)) == len(version["replicas"]):
        version["replicas"] = {}
        version["server"] = ""
    details = [{"server": server, "code": codes[server] or "insufficient"} for server in sorted(codes)]
    version["placement_failure"] = {"code": code, "details": details}


def ask_for_more(turn: Turn, name: str, passing: list[str]) -> None:
    """Raise `requested_replicas` of the server that the model would best grow on."""
    version = latest(turn.models[name])
    target = version["server"] or version["spec"]["server"] or min(passing, default="")
    server = turn.servers.get(target)
    if not turn.state["policy"]["server_autoscaling"] or server is None:
        return
    wanted = max(version["deployment"]["replicas"], largest_deployment(turn.state, target))
    expected, limit, outstanding = server["expected_replicas"], server["max_replicas"], server["requested_replicas"]
    if expected < 0 or limit < 1 or wanted <= expected:
        return
    request = min(wanted, limit)
    asks_for_more_already = outstanding is not None and outstanding > expected and outstanding > request
    if request > expected and not asks_for_more_already:
        server["requested_replicas"] = request


def largest_deployment(state: Json, server: str) -> int:
    """Return the most replicas that a model bound to the server is to have, 0 without one."""
    bound = [latest(model) for model in state["models"].values() if not model["deleted"]]
    return max((version["deployment"]["replicas"] for version in bound if version["server"] == server), default=0)
