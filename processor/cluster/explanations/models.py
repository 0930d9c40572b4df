"""Explanation of a model: its status, its versions, and the verdict of placement on every server."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec.structs import asdict

from processor.cluster.entities import Deployment, Model, Replica, Version
from processor.cluster.explanations.failures import clock_awaits, failure_facts, forgotten_ms
from processor.cluster.explanations.placement import replica_verdicts, server_verdicts
from processor.cluster.explanations.values import Explanation, Section
from processor.cluster.indexes import required
from processor.cluster.lifecycle import (
    AVAILABLE,
    DRAINING,
    FAILED,
    LOAD_FAILED,
    LOAD_REQUESTED,
    LOADED,
    LOADED_UNAVAILABLE,
    LOADING,
    PROGRESSING,
    SCALED_DOWN,
    SCHEDULE_FAILED,
    TERMINATE_FAILED,
    TERMINATED,
    TERMINATING,
    UNLOAD_REQUESTED,
    UNLOADING,
    UNROUTE_REQUESTED,
    Tally,
    reaches,
    tally,
)
from processor.cluster.rollout import fallback, held, routes
from processor.cluster.state import State

STATUS_RULES: Final[Mapping[str, Callable[[Version, Tally], str]]] = MappingProxyType(
    {
        SCHEDULE_FAILED: lambda version, _: f"no server takes version {version.version}: {version.reason}",
        FAILED: lambda _, counts: (
            f"replicas that should serve cannot: {counts.load_failed} failed to load, "
            f"{counts.loaded_unavailable} are loaded and could not be routed"
        ),
        SCALED_DOWN: lambda _, __: "it is wanted with 0 replicas, and none is available",
        AVAILABLE: lambda version, counts: f"it is rolled out: {_rollout(version.deployment, counts.available)}",
        PROGRESSING: lambda version, counts: (
            f"it is not rolled out yet: {_rollout(version.deployment, counts.available)}; nothing has failed"
        ),
        TERMINATE_FAILED: lambda _, counts: (
            f"it is not wanted any more, and {counts.unload_failed} replicas could not be unloaded"
        ),
        TERMINATING: lambda _, __: "it is not wanted any more, and some replicas are not unloaded yet",
        TERMINATED: lambda _, __: "it is not wanted any more, and nothing of it is loaded",
    }
)
"""Status of a version → the rule that gives it, in words."""

AWAITED: Final[Mapping[str, str]] = MappingProxyType(
    {
        LOAD_REQUESTED: "{place}, to load version {version}",
        LOADING: "{place}, to finish loading version {version}",
        UNLOAD_REQUESTED: "{place}, to unload version {version}",
        UNLOADING: "{place}, to finish unloading version {version}",
        DRAINING: "a replacement that is available, before version {version} leaves {place}, which is draining",
    }
)
"""State of an entry → what it waits for; of a state that is missing: nothing, the router, or a retry."""

_ROUTED: Final = frozenset({LOADED, LOADED_UNAVAILABLE, UNROUTE_REQUESTED})


def explain_model(state: State, name: str) -> Explanation:
    """Explain a model by its latest version; the sections hold the others."""
    model = state.models[name]
    latest = model.versions[-1]
    return Explanation(
        kind="model",
        name=name,
        status=latest.status,
        rule=STATUS_RULES[latest.status](latest, tally(latest.replicas)),
        facts={**_facts(state, model), **failure_facts(state, "model", name)},
        sections=tuple(section for section in _sections(state, model) if section.rows),
        awaits=tuple(_awaits(state, model)),
    )


def _facts(state: State, model: Model) -> dict[str, Any]:
    latest, counts, second = model.versions[-1], tally(model.versions[-1].replicas), fallback(model)
    return {
        "reason": latest.reason,
        "status_since_ms": latest.status_since_ms,
        "version": latest.version,
        "generation": model.generation,
        "deleted": model.deleted,
        "forgotten_ms": forgotten_ms(state, "model", model),
        "server": latest.server,
        "pinned_to": latest.spec.server,
        "required_bytes_each": required(latest),
        "requirements": list(latest.spec.requirements),
        "replicas": latest.deployment.replicas,
        "min_replicas": latest.deployment.min_replicas,
        "max_replicas": latest.deployment.max_replicas,
        "held": held(latest),
        "available": counts.available,
        "loading": counts.loading,
        "failed": counts.failed,
        "rolled_out": reaches(latest.deployment, counts.available),
        "rolled_out_because": _rollout(latest.deployment, counts.available),
        "assignment": list(counts.assignment),
        "fallback": None if second is None else second.version,
        "fallback_because": _why_fallback(model, second),
        "serving": state.indexes.serving_views[model.name].serving,
        "route_revision": model.route_revision,
        "route_applied_revision": model.route_applied_revision,
        "placement_failure": latest.placement_failure.code if latest.placement_failure else "",
    }


def _rollout(deployment: Deployment, available: int) -> str:
    replicas, least = deployment.replicas, deployment.min_replicas
    if available >= replicas:
        return f"{available} available, {replicas} wanted"
    if least == 0:
        return f"{available} available, {replicas} wanted, fewer will not do"
    return f"{available} available, {replicas} wanted, {least} will do"


def _why_fallback(model: Model, second: Version | None) -> str:
    if model.deleted:
        return "the model is deleted: nothing of it serves"
    if len(model.versions) == 1:
        return "there is no older version"
    latest = model.versions[-1]
    if second is None:
        ready = reaches(latest.deployment, tally(latest.replicas).available)
        return "the latest version is rolled out" if ready else "no older version has a replica that can take traffic"
    return f"version {second.version} serves until version {latest.version} is rolled out"


def _sections(state: State, model: Model) -> Iterator[Section]:
    second, latest = fallback(model), model.versions[-1]
    yield Section("versions", tuple(_version_row(model, version, second) for version in model.versions))
    yield Section(
        "replicas",
        tuple(_replica_row(version, replica) for version in model.versions for replica in version.replicas),
    )
    shares = [{**asdict(route), "replicas": list(route.replicas)} for route in routes(model)]
    yield Section("routes", tuple(shares))
    if model.deleted or latest.deployment.replicas == 0:
        return
    last = (
        {} if latest.placement_failure is None else {one.server: one.code for one in latest.placement_failure.details}
    )
    yield Section(
        "servers",
        tuple(
            {**asdict(verdict), "at_last_placement": last.get(verdict.server, "")}
            for verdict in server_verdicts(state, latest)
        ),
    )
    candidates = [{**asdict(one), "missing": list(one.missing)} for one in replica_verdicts(state, latest)]
    yield Section("server replicas", tuple(candidates))


def _version_row(model: Model, version: Version, second: Version | None) -> dict[str, Any]:
    counts = tally(version.replicas)
    part = "latest" if version is model.versions[-1] else "fallback" if version is second else "retiring"
    return {
        "version": version.version,
        "part": "retiring" if model.deleted else part,
        "status": version.status,
        "because": STATUS_RULES[version.status](version, counts),
        "server": version.server,
        "uri": version.spec.uri,
    }


def _replica_row(version: Version, replica: Replica) -> dict[str, Any]:
    return {
        "version": version.version,
        "server": version.server,
        "replica": replica.index,
        "state": replica.state,
        "since_ms": replica.since_ms,
        "reason": replica.reason,
    }


def _awaits(state: State, model: Model) -> Iterator[str]:
    latest = model.versions[-1]
    if not model.deleted and _lacks_room(latest):
        yield from _room(state, latest)
    for version in model.versions:
        for replica in version.replicas:
            if replica.state in AWAITED:
                place = f"server {version.server} replica {replica.index}"
                yield AWAITED[replica.state].format(place=place, version=version.version)
    if model.route_applied_revision != model.route_revision and _needs_router(model):
        revision, applied = model.route_revision, model.route_applied_revision
        yield f"the router, to apply revision {revision} of the routes; the last that it applied is {applied}"
    yield from clock_awaits(state, "model", model)


def _lacks_room(latest: Version) -> bool:
    if latest.placement_failure is not None:
        return True
    to_load_again = any(replica.state == LOAD_FAILED for replica in latest.replicas)
    return not to_load_again and held(latest) < latest.deployment.replicas


def _needs_router(model: Model) -> bool:
    return bool(routes(model)) or any(
        replica.state in _ROUTED for version in model.versions for replica in version.replicas
    )


def _room(state: State, latest: Version) -> Iterator[str]:
    wanted, present = latest.deployment.replicas, held(latest)
    yield f"room for version {latest.version}: {present} of {wanted} replicas have a place (see servers)"
    for name in state.indexes.server_names:
        server = state.servers[name]
        asked = server.requested_replicas
        if asked is not None and asked > server.expected_replicas and name in {latest.server, latest.spec.server}:
            yield f"an operator, to give server {name} {asked} replicas; {server.expected_replicas} are declared"
