"""Explanation of a server: what is on it, and which replicas are requested of it."""

from collections.abc import Iterator
from typing import Any, Final

from immutables import Map

from processor.cluster.entities import Model, Server, ServerReplica
from processor.cluster.explanations.placement import reserved_on
from processor.cluster.explanations.values import Explanation, Section
from processor.cluster.indexes import blockers
from processor.cluster.state import State

_EMPTY: Final = Map()


def explain_server(state: State, name: str) -> Explanation:
    """Explain a server with its replicas; the sections hold what is on them."""
    server = state.servers[name]
    return Explanation(
        kind="server",
        name=name,
        status="declared" if server.declared else "undeclared",
        rule=_rule(server),
        facts=_facts(state, server),
        sections=tuple(section for section in _sections(state, server) if section.rows),
        awaits=tuple(_awaits(state, server)),
    )


def _rule(server: Server) -> str:
    if server.declared:
        return (
            f"an operator described it; {len(server.replicas)} of {_count(server.expected_replicas)} replicas connected"
        )
    return f"no operator described it: it is there as long as one of its {len(server.replicas)} replicas is connected"


def _facts(state: State, server: Server) -> dict[str, Any]:
    return {
        "generation": server.generation,
        "shared": server.shared,
        "takes_models": _takes(server),
        "expected_replicas": server.expected_replicas,
        "min_replicas": server.min_replicas,
        "max_replicas": server.max_replicas,
        "connected": len(server.replicas),
        "empty": len(server.replicas) - _occupied(state, server),
        "most_replicas_wanted_by_a_model": _demand(state, server),
        "requested_replicas": server.requested_replicas,
        "requested_because": _why_requested(state, server),
    }


def _takes(server: Server) -> str:
    if not server.replicas:
        return "none: no replica is connected"
    if server.expected_replicas == 0:
        return "none: it is declared to have no replicas"
    return "all that fit" if server.shared else "only those that are pinned to it"


def _why_requested(state: State, server: Server) -> str:
    """Say why more or fewer replicas are asked for, or why the rules ask for none."""
    asked, expected = server.requested_replicas, server.expected_replicas
    if asked is not None and asked > expected:
        return (
            f"a model found too little room: {asked} would do, {expected} are declared, {server.max_replicas} the most"
        )
    if asked is not None and asked < expected:
        return f"something left it: {asked} replicas are enough for what stays, {expected} are declared"
    if not state.policy.server_autoscaling:
        return "the policy turns server autoscaling off"
    if expected < 0:
        return "how many replicas it shall have is not declared"
    if _demand(state, server) > expected and server.max_replicas <= expected:
        return f"it is declared with {expected} replicas and may not have more than {server.max_replicas}"
    return "no model on it lacks room, and none left it with replicas empty"


def _sections(state: State, server: Server) -> Iterator[Section]:
    yield Section("replicas", tuple(_replica_row(state, server, replica) for replica in server.replicas))
    yield Section(
        "models",
        tuple(
            {"model": name, "version": version.version, "replica": entry.index, "state": entry.state}
            for name in _models_on(state, server)
            for version in state.models[name].versions
            for entry in version.replicas
            if version.server == server.name
        ),
    )


def _replica_row(state: State, server: Server, replica: ServerReplica) -> dict[str, Any]:
    reserved = reserved_on(state, server.name, replica.index)
    return {
        "replica": replica.index,
        "memory": replica.memory,
        "available_memory": replica.available_memory,
        "reserved": reserved,
        "free": max(0, replica.available_memory - reserved),
        "capabilities": list(replica.capabilities),
        "draining": replica.draining,
        "drained": replica.drained,
        "because": _why_drained(state, server, replica),
        "orphans": [f"{orphan.model}:{orphan.version}" for orphan in replica.orphans],
        "connected_ms": replica.connected_ms,
    }


def _why_drained(state: State, server: Server, replica: ServerReplica) -> str:
    if not replica.draining:
        return "it takes models"
    blocking = _blocking(state, server, replica)
    if blocking:
        return f"no replica elsewhere is available yet of {', '.join(blocking)}"
    return "every model that drains here is available elsewhere, or has found no place, or there is none"


def _awaits(state: State, server: Server) -> Iterator[str]:
    if server.requested_replicas is not None and server.requested_replicas != server.expected_replicas:
        yield f"an operator, to declare it with {server.requested_replicas} replicas"
    for replica in server.replicas:
        if replica.draining and not replica.drained:
            yield f"replica {replica.index}: {_why_drained(state, server, replica)}"
        for orphan in replica.orphans:
            what = f"model {orphan.model} version {orphan.version}"
            yield f"replica {replica.index}, to unload {what}, which nothing wants there"


def _blocking(state: State, server: Server, replica: ServerReplica) -> list[str]:
    place = (server.name, replica.index)
    return [name for name in _models_on(state, server) if place in blockers(_model(state, name))]


def _model(state: State, name: str) -> Model:
    model: Model = state.models[name]
    return model


def _models_on(state: State, server: Server) -> list[str]:
    usage = state.indexes.usage.get(server.name, _EMPTY)
    return sorted({name for load in usage.values() for name in load.models})


def _occupied(state: State, server: Server) -> int:
    usage = state.indexes.usage.get(server.name, _EMPTY)
    return sum(load.occupied > 0 for load in usage.values())


def _demand(state: State, server: Server) -> int:
    return max(state.indexes.demand.get(server.name, _EMPTY), default=0)


def _count(expected: int) -> str:
    return "an unknown number of" if expected < 0 else str(expected)
