"""The rules of experiments, and what follows for them from every event."""

from tests.reference.reports import repeats_route_report
from tests.reference.turn import RefusedError, Turn, changes_nothing, deletes
from tests.reference.words import Json, candidate_serves, copied

DEFINITION = ("kind", "default", "candidates", "mirror")


def begin(turn: Turn, data: Json) -> None:
    name = data["experiment"]
    turn.user_request = f"experiment/{name}"
    check_definition(turn, data)
    experiment = turn.state["experiments"].get(name)
    running = experiment is not None and not experiment["deleted"]
    if running and changes_nothing(turn, experiment, data, experiment, DEFINITION):
        return
    if experiment is None:
        turn.state["experiments"][name] = experiment = new_experiment(turn, name)
    experiment.update({key: copied(data[key]) for key in DEFINITION})
    experiment.update(generation=data["generation"], deleted=False, deleted_ms=None, active=False)
    turn.replaced_experiments.add(name)


def new_experiment(turn: Turn, name: str) -> Json:
    flags = dict.fromkeys(("candidates_ready", "mirror_ready", "routes_wanted"), False)
    revisions = {"route_revision": 0, "route_applied_revision": 0}
    return {"name": name, **flags, **revisions, "status": "", "reason": "", "status_since_ms": turn.at_ms}


def names_of(experiment: Json) -> list[str]:
    mirrored = [experiment["mirror"]["name"]] if experiment["mirror"] else []
    return [candidate["name"] for candidate in experiment["candidates"]] + mirrored


def check_definition(turn: Turn, data: Json) -> None:
    names = names_of(data)
    if not names:
        raise RefusedError("no_candidates")
    if len(set(names)) < len(names):
        raise RefusedError("duplicate_candidate")
    if data["default"] and data["default"] not in [candidate["name"] for candidate in data["candidates"]]:
        raise RefusedError("default_not_candidate")
    for name, other in turn.state["experiments"].items():
        runs = name != data["experiment"] and not other["deleted"]
        if runs and data["default"] and (other["kind"], other["default"]) == (data["kind"], data["default"]):
            raise RefusedError("baseline_taken")


def stop(turn: Turn, data: Json) -> None:
    turn.user_request = f"experiment/{data['experiment']}"
    deletes(turn, turn.state["experiments"].get(data["experiment"]), data)


def route_applied(turn: Turn, data: Json) -> None:
    experiment = turn.state["experiments"].get(data["experiment"])
    if not repeats_route_report(experiment, data["route_revision"]):
        experiment["route_applied_revision"] = data["route_revision"]
        experiment["active"] = experiment["routes_wanted"]
        turn.experiment_reports[data["experiment"]] = None


def route_failed(turn: Turn, data: Json) -> None:
    experiment = turn.state["experiments"].get(data["experiment"])
    if not repeats_route_report(experiment, data["route_revision"]):
        experiment["active"] = False
        turn.experiment_reports[data["experiment"]] = data["reason"]


def settle_experiments(turn: Turn) -> None:
    for name in sorted(turn.state["experiments"]):
        settle_experiment(turn, name, turn.state["experiments"][name])


def settle_experiment(turn: Turn, name: str, experiment: Json) -> None:
    kind, mirror, replaced = experiment["kind"], experiment["mirror"], name in turn.replaced_experiments
    ready = [candidate_serves(turn.state, kind, candidate["name"]) for candidate in experiment["candidates"]]
    experiment["candidates_ready"] = all(ready)
    experiment["mirror_ready"] = mirror is None or candidate_serves(turn.state, kind, mirror["name"])
    wanted = not experiment["deleted"] and experiment["candidates_ready"] and experiment["mirror_ready"]
    if wanted != experiment["routes_wanted"] or (wanted and replaced):
        experiment["routes_wanted"] = wanted
        experiment["route_revision"] += 1
    if not wanted:
        experiment["active"] = False
    failure = None if replaced else last_failure(turn, name, experiment)
    word, reason = "Pending", ""
    if experiment["deleted"]:
        word = "Stopped"
    elif experiment["active"]:
        word = "Active"
    elif failure is not None:
        word, reason = "Failed", failure
    if word != experiment["status"]:
        experiment["status_since_ms"] = turn.at_ms
    experiment.update(status=word, reason=reason)


def last_failure(turn: Turn, name: str, experiment: Json) -> str | None:
    """Return why the last report about the current revision failed, None if it did not."""
    if name in turn.experiment_reports:
        return turn.experiment_reports[name]
    before = turn.before["experiments"].get(name, {"status": ""})
    if before["status"] != "Failed" or before["route_revision"] != experiment["route_revision"]:
        return None
    reason: str = before["reason"]
    return reason
