"""The rules of pipelines and responders, and what follows for pipelines from every event."""

from tests.reference.references import check_references
from tests.reference.turn import RefusedError, Turn, changes_nothing, deletes
from tests.reference.words import Json, copied, latest, model_serves

ROLES = {"dataflow_engine": "engine", "pipeline_gateway": "gateway"}
STATE_OF = {"create": "Creating", "rebalance": "Rebalancing", "delete": "Terminating"}
UP = {"Ready", "Rebalancing"}
ENDING = {"Terminating", "Terminated", "TerminateFailed"}
DEFINITION = ("steps", "output", "allow_cycles")


def responders_of(state: Json, role: str) -> list[str]:
    return sorted(entry["responder"] for entry in state["responders"].values() if entry["role"] == role)


def start(state: Json, version: Json, role: str, operation: str) -> None:
    axis, responders = version[ROLES[role]], responders_of(state, role)
    if responders:
        axis.update(state=STATE_OF[operation], sequence=axis["sequence"] + 1, reason="")
        axis["answers"] = {responder: {"state": "pending", "reason": ""} for responder in responders}
    elif operation == "delete":
        axis.update(state="Terminated", reason="", answers={})
    else:
        axis.update(state="Create", reason="no_responders", answers={})


def combine(axis: Json) -> None:
    answers = [axis["answers"][responder] for responder in sorted(axis["answers"])]
    if any(answer["state"] == "pending" for answer in answers):
        return
    failed = [answer for answer in answers if answer["state"] == "failed"]
    if axis["state"] == "Terminating":
        axis["state"] = "TerminateFailed" if failed else "Terminated"
    else:
        axis["state"] = "Ready" if len(failed) < len(answers) else "Failed"
    axis["reason"] = "; ".join(answer["reason"] for answer in failed if answer["reason"])


def load(turn: Turn, data: Json) -> None:
    name = data["pipeline"]
    turn.user_request = f"pipeline/{name}"
    check_references(name, data)
    pipeline = turn.state["pipelines"].get(name)
    running = pipeline is not None and not pipeline["deleted"]
    if running and changes_nothing(turn, pipeline, data, latest(pipeline), DEFINITION):
        return
    if pipeline is None:
        turn.state["pipelines"][name] = pipeline = {"name": name, "versions": []}
    pipeline.update(generation=data["generation"], deleted=False, deleted_ms=None)
    number = latest(pipeline)["version"] + 1 if pipeline["versions"] else 1
    version = {"version": number, **{key: copied(data[key]) for key in DEFINITION}}
    for axis in ROLES.values():
        version[axis] = {"state": "Create", "sequence": 0, "answers": {}, "reason": ""}
    version.update(models_ready=False, status="", reason="", status_since_ms=turn.at_ms)
    pipeline["versions"].append(version)
    for role in ROLES:
        start(turn.state, version, role, "create")


def unload(turn: Turn, data: Json) -> None:
    turn.user_request = f"pipeline/{data['pipeline']}"
    pipeline = turn.state["pipelines"].get(data["pipeline"])
    if deletes(turn, pipeline, data):
        for version in pipeline["versions"]:
            end(turn, version)


def end(turn: Turn, version: Json) -> None:
    for role, axis in ROLES.items():
        if version[axis]["state"] not in ENDING:
            start(turn.state, version, role, "delete")


def reported(turn: Turn, data: Json) -> None:
    pipeline = turn.state["pipelines"].get(data["pipeline"], {"versions": []})
    found = [version for version in pipeline["versions"] if version["version"] == data["version"]]
    if not found:
        raise RefusedError("unknown_target")
    axis = found[0][ROLES[data["role"]]]
    if axis["sequence"] != data["sequence"]:
        raise RefusedError("stale_report")
    answer = axis["answers"].get(data["responder"])
    if answer is None:
        raise RefusedError("unexpected_report")
    given = {"state": "succeeded" if data["success"] else "failed", "reason": data["reason"]}
    if answer == given:
        return
    if answer["state"] != "pending":
        raise RefusedError("unexpected_report")
    axis["answers"][data["responder"]] = given
    combine(axis)


def responder_connected(turn: Turn, data: Json) -> None:
    role, key = data["role"], f"{data['role']}/{data['responder']}"
    if key in turn.state["responders"]:
        return
    turn.state["responders"][key] = {"role": role, "responder": data["responder"], "connected_ms": turn.at_ms}
    for pipeline in turn.state["pipelines"].values():
        for version in pipeline["versions"]:
            state = version[ROLES[role]]["state"]
            if state in {"Create", "Creating", "Failed"}:
                start(turn.state, version, role, "create")
            elif state in UP:
                start(turn.state, version, role, "rebalance")
            elif state in {"Terminating", "TerminateFailed"}:
                start(turn.state, version, role, "delete")


def responder_disconnected(turn: Turn, data: Json) -> None:
    role = data["role"]
    if turn.state["responders"].pop(f"{role}/{data['responder']}", None) is None:
        return
    none_left = not responders_of(turn.state, role)
    for pipeline in turn.state["pipelines"].values():
        for version in pipeline["versions"]:
            axis = version[ROLES[role]]
            axis["answers"].pop(data["responder"], None)
            if none_left and axis["state"] in {"Terminating", "TerminateFailed"}:
                axis.update(state="Terminated", reason="")
            elif none_left and axis["state"] != "Terminated":
                axis.update(state="Create", reason="no_responders")
            elif axis["state"] in {"Creating", "Rebalancing", "Ready", "Terminating"}:
                combine(axis)


def settle_pipelines(turn: Turn) -> None:
    for name in sorted(turn.state["pipelines"]):
        pipeline = turn.state["pipelines"][name]
        retire(turn, pipeline)
        for version in pipeline["versions"]:
            version["models_ready"] = all(model_serves(turn.state, step["name"]) for step in version["steps"])
            word = status(pipeline, version)
            if word != version["status"]:
                version.update(status=word, status_since_ms=turn.at_ms)
            version["reason"] = status_reason(version)


def retire(turn: Turn, pipeline: Json) -> None:
    versions = pipeline["versions"]
    for position, version in enumerate(versions):
        if all(version[axis]["state"] in UP for axis in ROLES.values()):
            for older in versions[:position]:
                end(turn, older)
    pipeline["versions"] = [version for version in versions if version is versions[-1] or not ended(version)]


def ended(version: Json) -> bool:
    return all(version[axis]["state"] == "Terminated" for axis in ROLES.values())


def status(pipeline: Json, version: Json) -> str:
    states = [version[axis]["state"] for axis in ROLES.values()]
    superseded = version is not latest(pipeline) and any(state in ENDING for state in states)
    if pipeline["deleted"] or superseded:
        if "TerminateFailed" in states:
            return "TerminateFailed"
        return "Terminated" if ended(version) else "Terminating"
    if "Failed" in states:
        return "Failed"
    if all(state in UP for state in states):
        return "Ready" if version["models_ready"] else "ModelsUnavailable"
    return "Creating"


def status_reason(version: Json) -> str:
    cause = {"Failed": "Failed", "TerminateFailed": "TerminateFailed", "Creating": "Create"}.get(version["status"])
    for axis in ROLES.values():
        if version[axis]["state"] == cause:
            reason: str = version[axis]["reason"]
            return reason
    return ""
