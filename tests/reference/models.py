"""The rules of what users and autoscalers ask of models."""

from tests.reference.turn import RefusedError, Turn, add_version, change_entry, check_generation, repeats
from tests.reference.words import HELD, NUMBER_MAX, Json, copied, in_states, latest


def load(turn: Turn, data: Json) -> None:
    name, generation = data["model"], data["generation"]
    turn.user_request = f"model/{name}"
    model = turn.models.get(name)
    if model is None:
        turn.models[name] = model = new_model(name, generation)
        add_version(turn, model, data["spec"], data["deployment"])
        turn.place.append(name)
        return
    if model["deleted"]:
        model.update(deleted=False, deleted_ms=None, generation=generation)
        add_version(turn, model, data["spec"], data["deployment"])
        turn.place.append(name)
        return
    check_generation(model["generation"], generation)
    turn.repeated = repeats(model["generation"], generation)
    if not turn.repeated:
        model["generation"] = generation
        redefine(turn, model, data)
    if not_whole(latest(model)):
        turn.place.append(name)


def new_model(name: str, generation: int) -> Json:
    revisions = {"route_revision": 0, "route_applied_revision": 0}
    return {"name": name, "generation": generation, "deleted": False, "deleted_ms": None, **revisions, "versions": []}


def redefine(turn: Turn, model: Json, data: Json) -> None:
    version = latest(model)
    if version["spec"] != data["spec"]:
        add_version(turn, model, data["spec"], data["deployment"])
        turn.place.append(model["name"])
    elif version["deployment"] != data["deployment"]:
        version["deployment"] = copied(data["deployment"])
        turn.place.append(model["name"])


def not_whole(version: Json) -> bool:
    partly_placed = len(in_states(version, HELD)) < version["deployment"]["replicas"]
    return version["status"] in {"ScheduleFailed", "Failed"} or partly_placed


def unload(turn: Turn, data: Json) -> None:
    name = data["model"]
    turn.user_request = f"model/{name}"
    model = turn.models.get(name)
    if model is None:
        raise RefusedError("unknown_target")
    if model["deleted"]:
        turn.repeated = True
        unload_what_failed_to(turn, model)
        return
    check_generation(model["generation"], data["generation"])
    model.update(deleted=True, deleted_ms=turn.at_ms, generation=data["generation"])


def unload_what_failed_to(turn: Turn, model: Json) -> None:
    for version in model["versions"]:
        for index in in_states(version, {"UnloadFailed"}):
            change_entry(turn, version, index, "UnloadRequested")


def scale(turn: Turn, data: Json) -> None:
    policy, model = turn.state["policy"], turn.models.get(data["model"])
    if not policy["model_autoscaling"]:
        raise RefusedError("autoscaling_off")
    if model is None or model["deleted"]:
        raise RefusedError("unknown_target")
    version = latest(model)
    if version["version"] != data["version"]:
        raise RefusedError("stale_version")
    deployment = version["deployment"]
    replicas, minimum, maximum = (deployment[key] for key in ("replicas", "min_replicas", "max_replicas"))
    if minimum == 0 and maximum == 0:
        raise RefusedError("autoscaling_off")
    if data["direction"] == "up":
        if version["status"] != "Available":
            raise RefusedError("not_available")
        if replicas + 1 > (maximum or NUMBER_MAX):
            raise RefusedError("at_limit")
        deployment["replicas"] = replicas + 1
    else:
        if replicas - 1 < max(minimum, 1):
            raise RefusedError("at_limit")
        if turn.at_ms - version["status_since_ms"] < policy["scale_down_stabilisation_ms"]:
            raise RefusedError("too_soon")
        deployment["replicas"] = replicas - 1
        turn.capacity_may_have_grown = True
    turn.place.append(data["model"])
