"""What follows for models from every event: retirement, status, routes."""

from tests.reference.placement import leave
from tests.reference.turn import Turn
from tests.reference.words import LEAVING, Json, in_states, latest, retiring, rolled_out, routed, routes


def settle_models(turn: Turn) -> None:
    for name in sorted(turn.models):
        model, before = turn.models[name], turn.model_before(name)
        retire(turn, name, model)
        for version in model["versions"]:
            status(turn, model, version)
        if routes(model) != routes(before) or enters_loaded(model, before):
            model["route_revision"] += 1


def retire(turn: Turn, name: str, model: Json) -> None:
    leavers = [version for version in model["versions"] if retiring(model, version)]
    for version in leavers:
        for index in sorted(version["replicas"], key=int):
            leave(turn, name, version, index)
    finished = [
        version
        for version in leavers
        if version is not latest(model) and len(in_states(version, {"Unloaded"})) == len(version["replicas"])
    ]
    model["versions"] = [version for version in model["versions"] if not any(version is gone for gone in finished)]
    for version in model["versions"]:
        if model["deleted"] or version is not latest(model):
            version["placement_failure"] = None


def enters_loaded(model: Json, before: Json | None) -> bool:
    """Tell whether a routed replica is Loaded that was not before, or not since then."""
    earlier = {version["version"]: version for version in (before or {"versions": []})["versions"]}
    for version in model["versions"]:
        for index in in_states(version, {"Loaded"}):
            was = earlier.get(version["version"], {"replicas": {}, "server": ""})
            known = was["replicas"].get(index) if was["server"] == version["server"] else None
            same = known and (known["state"], known["since_ms"]) == ("Loaded", version["replicas"][index]["since_ms"])
            if routed(model, version, index) and not same:
                return True
    return False


def status(turn: Turn, model: Json, version: Json) -> None:
    counts = {
        "available": len(in_states(version, {"Available"})),
        "loading": len(in_states(version, {"LoadRequested", "Loading", "Loaded"})),
        "failed": len(in_states(version, {"LoadFailed", "LoadedUnavailable"})),
        "leaving": len(in_states(version, LEAVING)),
        "unload_failed": len(in_states(version, {"UnloadFailed"})),
        "draining": len(in_states(version, {"Draining"})),
    }
    word = retiring_status(version, counts) if retiring(model, version) else live_status(version, counts)
    if word != version["status"]:
        version["status_since_ms"] = turn.at_ms
    unavailable = counts["loading"] + counts["failed"]
    if word == "ScheduleFailed":
        unavailable = max(0, version["deployment"]["replicas"] - counts["available"])
    version.update(status=word, reason=status_reason(version, word), available_replicas=counts["available"])
    version.update(unavailable_replicas=unavailable, draining_replicas=counts["draining"])


def retiring_status(version: Json, counts: dict[str, int]) -> str:
    if counts["unload_failed"] > 0:
        return "TerminateFailed"
    there = counts["leaving"] + counts["available"] + counts["loading"] + counts["draining"]
    return "Terminating" if there + len(in_states(version, {"LoadedUnavailable"})) > 0 else "Terminated"


def live_status(version: Json, counts: dict[str, int]) -> str:
    if version["placement_failure"]:
        return "ScheduleFailed"
    if counts["failed"] > 0:
        return "Failed"
    if version["deployment"]["replicas"] == 0 and counts["available"] == 0:
        return "ScaledDown"
    return "Available" if rolled_out(version) else "Progressing"


def status_reason(version: Json, word: str) -> str:
    if word == "ScheduleFailed":
        code: str = version["placement_failure"]["code"]
        return code
    failed = {"Failed": {"LoadFailed", "LoadedUnavailable"}, "TerminateFailed": {"UnloadFailed"}}.get(word, set())
    entries = [(version["replicas"][index]["since_ms"], int(index)) for index in in_states(version, failed)]
    newest = max(entries, default=None)
    reason: str = version["replicas"][str(newest[1])]["reason"] if newest else ""
    return reason
