"""One event, slowly: its own rule, then the steps that follow."""

from typing import Any

from processor.cluster.events import Event
from processor.cluster.lifecycle import REPORTS
from tests.cluster import oracle_flows as flows
from tests.cluster import oracle_models as models
from tests.cluster import oracle_servers as servers
from tests.cluster import recomputation as again
from tests.cluster.oracle import Oracle, Refused
from tests.cluster.oracle_settling import settle
from tests.cluster.recomputation import Json


def reduced(document: Json, event: Event) -> tuple[Json, str]:
    """Return the document after the event, and the code of its rejection ("" if there is none)."""
    oracle = Oracle(document, event.at_ms)
    name = type(event).__name__
    data = event.model_dump(mode="json", exclude={"at_ms"})
    try:
        if name in REPORTS:
            servers.report(oracle, name, data)
        else:
            RULES[name](oracle, data, event)
    except Refused as refused:
        return document, refused.code
    if name != "ClockTicked":
        oracle.to_place = sorted(set(oracle.to_place))
    settle(oracle)
    return oracle.document, ""


def ticked(world: Oracle, _: Json, __: Event) -> None:
    for table in ("models", "pipelines", "experiments"):
        for name in sorted(world.document[table]):
            thing = world.document[table][name]
            over = thing["deleted"] and thing["deleted_ms"] + world.policy["tombstone_ttl_ms"] <= world.at_ms
            statuses = [version["status"] for version in thing.get("versions", [])] or [thing.get("status")]
            if over and set(statuses) <= {"Terminated", "Stopped"} and (table != "models" or len(statuses) == 1):
                del world.document[table][name]
    due = sorted((entry["since_ms"], key) for key, entry in world.failures.items())
    for _since, key in due:
        kind, name = key.split("/")
        if name in world.document[f"{kind}s"]:
            retry(world, key, world.document[f"{kind}s"][name])


def retry(world: Oracle, key: str, thing: Json) -> None:
    entry = world.failures[key]
    pending = entry["code"] == "route_failed" and thing["route_revision"] != thing["route_applied_revision"]
    stands = again.cause(world.before, key) is not None or pending
    if entry["next_retry_ms"] > world.at_ms or entry["attempts"] >= world.policy["retry_limit"] or not stands:
        return
    entry.update(attempts=entry["attempts"] + 1, next_retry_ms=world.at_ms + world.policy["retry_interval_ms"])
    if entry["code"] == "route_failed":
        thing["route_revision"] += 1
        if key.startswith("experiment"):
            thing["failed"] = None
    elif key.startswith("pipeline"):
        retry_pipeline(world, thing, entry["code"])
    else:
        retry_model(world, thing, entry["code"])


def retry_pipeline(world: Oracle, thing: Json, code: str) -> None:
    if code in {"engine_failed", "gateway_failed"}:
        world.start(thing["versions"][-1], code.removesuffix("_failed"), "create")
        return
    for version in thing["versions"]:
        for axis in ("engine", "gateway"):
            if version[axis]["state"] == "TerminateFailed":
                world.start(version, axis, "delete")


def retry_model(world: Oracle, thing: Json, code: str) -> None:
    if code == "unload_failed":
        for version in thing["versions"]:
            for index in again.indexes_in(version, {"UnloadFailed"}):
                world.set_entry(version, index, "UnloadRequested")
        return
    latest = thing["versions"][-1]
    if code == "load_failed":
        for index in again.indexes_in(latest, {"LoadFailed"}):
            del latest["replicas"][str(index)]
    world.to_place.append(thing["name"])


RULES: dict[str, Any] = {
    "ServerDeclared": servers.server_declared,
    "ServerRemoved": servers.server_removed,
    "ServerReplicaConnected": servers.connected,
    "ServerReplicaDisconnected": servers.disconnected,
    "ServerReplicaDraining": servers.draining,
    "PolicyChanged": servers.policy,
    "ModelLoadRequested": models.load,
    "ModelUnloadRequested": models.unload,
    "ModelScaleRequested": models.scale,
    "ModelRouteApplied": models.routed,
    "ModelRouteFailed": models.unroutable,
    "PipelineLoadRequested": flows.load_pipeline,
    "PipelineUnloadRequested": flows.unload_pipeline,
    "PipelineReported": flows.answered,
    "ResponderConnected": flows.responder_connected,
    "ResponderDisconnected": flows.responder_disconnected,
    "ExperimentStartRequested": flows.start,
    "ExperimentStopRequested": flows.stop,
    "ExperimentRouteApplied": flows.split_applied,
    "ExperimentRouteFailed": flows.split_failed,
    "ClockTicked": ticked,
}
