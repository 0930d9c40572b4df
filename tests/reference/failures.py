"""What is remembered of things that do not work, when it is tried again, and what the clock removes."""

from tests.reference.models import unload_what_failed_to
from tests.reference.pipelines import ROLES, start
from tests.reference.turn import Turn
from tests.reference.words import NUMBER_MAX, Json, in_states, latest

Cause = tuple[str, str]
TABLES = {"model": "models", "pipeline": "pipelines", "experiment": "experiments"}
PLACEMENT_CODES = {"no_matching_server", "insufficient_replicas"}


def cause(state: Json, key: str) -> Cause | None:
    """Return (code, message) of what is wrong with `<kind>/<name>` as far as the state tells."""
    kind, _, name = key.partition("/")
    thing = state[TABLES[kind]].get(name)
    if thing is None:
        return None
    return {"model": model_cause, "pipeline": pipeline_cause, "experiment": experiment_cause}[kind](thing)


def model_cause(model: Json) -> Cause | None:
    version = latest(model)
    if version["status"] == "ScheduleFailed":
        placement = version["placement_failure"]
        return placement["code"], "; ".join(f"{each['server']}: {each['code']}" for each in placement["details"])
    if version["status"] == "Failed":
        return "load_failed" if in_states(version, {"LoadFailed"}) else "route_failed", version["reason"]
    stuck = [
        (entry["since_ms"], version["version"], int(index), entry["reason"])
        for version in model["versions"]
        for index, entry in version["replicas"].items()
        if entry["state"] == "UnloadFailed"
    ]
    return ("unload_failed", max(stuck)[3]) if stuck else None


def pipeline_cause(pipeline: Json) -> Cause | None:
    for axis in ROLES.values():
        if latest(pipeline)[axis]["state"] == "Failed":
            return f"{axis}_failed", latest(pipeline)[axis]["reason"]
    for version in pipeline["versions"]:
        for axis in ROLES.values():
            if version[axis]["state"] == "TerminateFailed":
                return "terminate_failed", version[axis]["reason"]
    return None


def experiment_cause(experiment: Json) -> Cause | None:
    return ("route_failed", experiment["reason"]) if experiment["status"] == "Failed" else None


def well(state: Json, key: str) -> bool:
    kind, _, name = key.partition("/")
    thing = state[TABLES[kind]][name]
    if kind == "experiment":
        return thing["status"] in {"Active", "Stopped"}
    fine = {"model": {"Available", "ScaledDown"}, "pipeline": {"Ready", "ModelsUnavailable"}}[kind]
    word = latest(thing)["status"]
    if word not in fine and not (thing["deleted"] and word == "Terminated"):
        return False
    return kind != "model" or state["failures"][key]["code"] != "route_failed" or route_is_applied(thing)


def route_is_applied(thing: Json) -> bool:
    applied: bool = thing["route_applied_revision"] == thing["route_revision"]
    return applied


def settle_failures(turn: Turn) -> None:
    for kind, table in sorted(TABLES.items()):
        for name in sorted(turn.state[table]):
            remember(turn, f"{kind}/{name}")
    for key in list(turn.failures):
        kind, _, name = key.partition("/")
        if name not in turn.state[TABLES[kind]]:
            del turn.failures[key]


def remember(turn: Turn, key: str) -> None:
    found = cause(turn.state, key)
    kind, _, name = key.partition("/")
    if found is None and kind == "model" and name in turn.route_failure:
        found = ("route_failed", turn.route_failure[name])
    if found is not None and key not in turn.failures:
        turn.failures[key] = {"since_ms": turn.at_ms, "attempts": 0, "next_retry_ms": next_retry_ms(turn)}
    if found is not None:
        turn.failures[key].update(code=found[0], message=found[1])
    elif key in turn.failures and well(turn.state, key):
        del turn.failures[key]


def next_retry_ms(turn: Turn) -> int:
    interval_ms: int = turn.state["policy"]["retry_interval_ms"]
    return min(turn.at_ms + interval_ms, NUMBER_MAX)


def tick(turn: Turn) -> None:
    """Remove what has long been gone, then try again what is due."""
    for table in TABLES.values():
        for name in sorted(turn.state[table]):
            thing = turn.state[table][name]
            if finished(table, thing) and thing["deleted_ms"] + turn.state["policy"]["tombstone_ttl_ms"] <= turn.at_ms:
                del turn.state[table][name]
    turn.place_in_order = True
    for key in sorted(turn.failures, key=lambda key: (turn.failures[key]["since_ms"], key)):
        failure, policy = turn.failures[key], turn.state["policy"]
        due = failure["next_retry_ms"] <= turn.at_ms and failure["attempts"] < policy["retry_limit"]
        if due and stands(turn.state, key):
            failure["attempts"] += 1
            failure["next_retry_ms"] = next_retry_ms(turn)
            retry(turn, key, failure["code"])


def due_ms(state: Json) -> int | None:
    """Return when a tick next has something to do, None: never."""
    policy = state["policy"]
    times = [
        failure["next_retry_ms"]
        for key, failure in state["failures"].items()
        if failure["attempts"] < policy["retry_limit"] and stands(state, key)
    ]
    for table in TABLES.values():
        gone = [thing for thing in state[table].values() if finished(table, thing)]
        times += [thing["deleted_ms"] + policy["tombstone_ttl_ms"] for thing in gone]
    return min(times, default=None)


def finished(table: str, thing: Json) -> bool:
    if not thing["deleted"]:
        return False
    if table == "experiments":
        return bool(thing["status"] == "Stopped")
    only = table == "pipelines" or len(thing["versions"]) == 1
    return only and all(version["status"] == "Terminated" for version in thing["versions"])


def stands(state: Json, key: str) -> bool:
    kind, _, name = key.partition("/")
    thing = state[TABLES[kind]].get(name)
    if thing is None:
        return False
    unrouted = state["failures"][key]["code"] == "route_failed" and not route_is_applied(thing)
    return unrouted or cause(state, key) is not None


def retry(turn: Turn, key: str, code: str) -> None:
    kind, _, name = key.partition("/")
    thing = turn.state[TABLES[kind]][name]
    if code in PLACEMENT_CODES:
        turn.place.append(name)
    elif code == "load_failed":
        drop_failed_loads(thing)
        turn.place.append(name)
    elif code == "route_failed":
        thing["route_revision"] += 1
    elif code == "unload_failed":
        unload_what_failed_to(turn, thing)
    else:
        retry_axes(turn, thing, code)


def drop_failed_loads(model: Json) -> None:
    version = latest(model)
    for index in in_states(version, {"LoadFailed"}):
        del version["replicas"][index]


def retry_axes(turn: Turn, pipeline: Json, code: str) -> None:
    for version in pipeline["versions"]:
        for role, axis in ROLES.items():
            if code == "terminate_failed" and version[axis]["state"] == "TerminateFailed":
                start(turn.state, version, role, "delete")
            elif code == f"{axis}_failed" and version is latest(pipeline):
                start(turn.state, version, role, "create")
