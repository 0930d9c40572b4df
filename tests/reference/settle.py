"""One event on one state: its own rule, then everything that follows, in the order of the rules."""

from collections.abc import Callable

from tests.reference import experiments, failures, models, pipelines, reports, rollout, servers
from tests.reference.placement import place
from tests.reference.turn import Turn
from tests.reference.words import HELD, Json, copied, in_states, latest


def change_policy(turn: Turn, data: Json) -> None:
    turn.state["policy"] = copied(data)


RULES: dict[str, Callable[[Turn, Json], None]] = {
    "ServerDeclared": servers.declare,
    "ServerRemoved": servers.remove,
    "ServerReplicaConnected": servers.connect,
    "ServerReplicaDisconnected": servers.disconnect,
    "ServerReplicaDraining": servers.drain,
    "PolicyChanged": change_policy,
    "ModelLoadRequested": models.load,
    "ModelUnloadRequested": models.unload,
    "ModelScaleRequested": models.scale,
    "ModelRouteApplied": reports.route_applied,
    "ModelRouteFailed": reports.route_failed,
    "PipelineLoadRequested": pipelines.load,
    "PipelineUnloadRequested": pipelines.unload,
    "PipelineReported": pipelines.reported,
    "ResponderConnected": pipelines.responder_connected,
    "ResponderDisconnected": pipelines.responder_disconnected,
    "ExperimentStartRequested": experiments.begin,
    "ExperimentStopRequested": experiments.stop,
    "ExperimentRouteApplied": experiments.route_applied,
    "ExperimentRouteFailed": experiments.route_failed,
    "ClockTicked": lambda turn, _: failures.tick(turn),
}


def apply(state: Json, kind: str, at_ms: int, data: Json) -> Json:
    """Return the state after the event; raise `RefusedError` where it is rejected."""
    turn = run(state, kind, at_ms, data, forget_failure=False)
    if turn.user_request and (not turn.repeated or turn.state != state):  # more than a repeat: starts anew
        turn = run(state, kind, at_ms, data, forget_failure=True)
    return turn.state


def run(state: Json, kind: str, at_ms: int, data: Json, *, forget_failure: bool) -> Turn:
    turn = Turn(before=state, state=copied(state), at_ms=at_ms)
    if kind in reports.REPLICA_REPORTS:
        reports.report(turn, kind, data)
    else:
        RULES[kind](turn, data)
    if forget_failure:
        turn.failures.pop(turn.user_request, None)
    follow(turn)
    return turn


def follow(turn: Turn) -> None:
    to_place = list(dict.fromkeys(turn.place))
    for name in to_place if turn.place_in_order else sorted(to_place):
        place(turn, name)
    if turn.capacity_may_have_grown:
        retry_waiting(turn)
    rollout.settle_models(turn)
    servers.settle_servers(turn)
    pipelines.settle_pipelines(turn)
    experiments.settle_experiments(turn)
    failures.settle_failures(turn)


def retry_waiting(turn: Turn) -> None:
    """Place again, oldest trouble first, what has too few replicas; keep only what improves."""
    waiting = [name for name in turn.models if waits(turn, name)]
    for name in sorted(waiting, key=lambda name: (waits_since(turn, name), name)):
        model, snapshot = turn.models[name], turn.snapshot()
        had_failure, held = bool(latest(model)["placement_failure"]), len(in_states(latest(model), HELD))
        if in_states(latest(model), {"LoadFailed"}) and may_retry_failed_loads(turn, name):
            failures.drop_failed_loads(model)
            if f"model/{name}" in turn.failures:
                turn.failures[f"model/{name}"]["attempts"] += 1
        succeeded = place(turn, name)
        if not succeeded or not (had_failure or len(in_states(latest(turn.models[name]), HELD)) > held):
            turn.restore(snapshot)


def waits(turn: Turn, name: str) -> bool:
    model = turn.models[name]
    version = latest(model)
    if model["deleted"]:
        return False
    if in_states(version, {"LoadFailed"}):
        return bool(version["placement_failure"]) or may_retry_failed_loads(turn, name)
    too_few = len(in_states(version, HELD)) < version["deployment"]["replicas"]
    return bool(version["placement_failure"]) or too_few


def may_retry_failed_loads(turn: Turn, name: str) -> bool:
    attempts = turn.failures.get(f"model/{name}", {"attempts": 0})["attempts"]
    return turn.replica_connected and attempts < turn.state["policy"]["retry_limit"]


def waits_since(turn: Turn, name: str) -> int:
    failure = turn.failures.get(f"model/{name}")
    version = latest(turn.models[name])
    since: int = failure["since_ms"] if failure else version["status_since_ms"]
    return since
