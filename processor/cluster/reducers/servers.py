"""The events of servers and their replicas.

A server replica that connects, disconnects or drains moves the entries of every model on it; `lifecycle.READOPTED`,
`LOST` and `DRAIN` are the tables.
"""

from msgspec.structs import replace

from processor.cluster.draft import NOTHING, Draft
from processor.cluster.entities import Model, Orphan, Replica, Server, ServerReplica, Version
from processor.cluster.events import (
    ServerDeclared,
    ServerRemoved,
    ServerReplicaConnected,
    ServerReplicaDisconnected,
    ServerReplicaDraining,
)
from processor.cluster.lifecycle import DRAIN, DRAINING, HELD, LOADED, LOST, READOPTED, UNLOAD_REQUESTED
from processor.cluster.rejection import Rejected, is_repeat, stale_generation
from processor.cluster.rollout import fallback, held
from processor.cluster.rows import find_index


def server_declared(draft: Draft, event: ServerDeclared) -> Rejected | None:
    """Store an operator's declaration of a server; different contents end a scale request."""
    old = draft.server(event.server)
    if old is not None and old.declared:
        if rejected := stale_generation(old.generation, event.generation):
            return rejected
        if is_repeat(old.generation, event.generation):
            return None
    contents = (True, event.expected_replicas, event.min_replicas, event.max_replicas, event.shared)
    if old is not None and contents == _contents(old):
        draft.put_server(replace(old, generation=event.generation))
        return None
    declared, expected, least, most, shared = contents
    replicas = old.replicas if old is not None else ()
    draft.put_server(Server(event.server, declared, event.generation, expected, least, most, shared, None, replicas))
    if old is not None:
        _declared_anew(draft, old, event)
    return None


def server_removed(draft: Draft, event: ServerRemoved) -> Rejected | None:
    """Withdraw a server's declaration and place its models elsewhere; the record goes with its last replica."""
    old = draft.server(event.server)
    if old is None or not old.declared:
        return None
    if rejected := stale_generation(old.generation, event.generation):
        return rejected
    draft.put_server(
        replace(
            old,
            declared=False,
            generation=event.generation,
            expected_replicas=0,
            min_replicas=0,
            max_replicas=0,
            requested_replicas=None,
        )
    )
    _place_models_of(draft, event.server)
    return None


def server_replica_connected(draft: Draft, event: ServerReplicaConnected) -> None:
    """Replace a replica's record and adopt what it has loaded; what no version wants there becomes an orphan."""
    server = draft.server(event.server)
    if server is None:
        server = Server(event.server, False, 0, -1, 0, 0, event.shared, None, ())  # noqa: FBT003 - declared, by position
    elif not server.declared and server.shared != event.shared:
        server = replace(server, shared=event.shared)
    listed = {Orphan(loaded.model, loaded.version) for loaded in event.loaded_models}
    wanted = {
        Orphan(name, version)
        for name in draft.models_at(event.server, event.replica)
        for version in _adopt(draft, name, event, listed)
    }
    draft.put_server_replica(server, _record(event, tuple(sorted(listed - wanted))))
    draft.capacity_grown = draft.replica_connected = True


def server_replica_disconnected(draft: Draft, event: ServerReplicaDisconnected) -> None:
    """Remove a replica and the entries on it."""
    server = draft.server(event.server)
    if server is None or find_index(server.replicas, event.replica) is None:
        return
    rest = tuple([replica for replica in server.replicas if replica.index != event.replica])
    draft.put_server(replace(server, replicas=rest))
    for name in draft.models_at(event.server, event.replica):
        _lose(draft, name, event)
    draft.capacity_grown = True


def server_replica_draining(draft: Draft, event: ServerReplicaDraining) -> Rejected | None:
    """Move a replica's models elsewhere; what is not loaded there yet is cancelled."""
    server = draft.server(event.server)
    record = find_index(server.replicas, event.replica) if server is not None else None
    if server is None or record is None:
        return Rejected("unknown_target", f"server {event.server} has no replica {event.replica}")
    if record.draining:
        return None
    draft.put_server_replica(server, replace(record, draining=True))
    draft.drain_checks |= {(event.server, event.replica)}
    for name in draft.models_at(event.server, event.replica):
        _drain(draft, name, event)
    return None


def _contents(server: Server) -> tuple[bool, int, int, int, bool]:
    return server.declared, server.expected_replicas, server.min_replicas, server.max_replicas, server.shared


def _declared_anew(draft: Draft, old: Server, event: ServerDeclared) -> None:
    if event.expected_replicas == 0 != old.expected_replicas:
        _place_models_of(draft, event.server)
    if (old.expected_replicas == 0 != event.expected_replicas) or (event.shared and not old.shared):
        draft.capacity_grown = True


def _place_models_of(draft: Draft, server: str) -> None:
    staying = HELD | {DRAINING}
    names = {name for usage in draft.usage.get(server, NOTHING).values() for name in usage.models}
    for name in sorted(names):
        model = draft.model(name)
        if model is not None and any(
            version.server == server and any(replica.state in staying for replica in version.replicas)
            for version in model.versions
        ):
            draft.to_place[name] = None


def _record(event: ServerReplicaConnected, orphans: tuple[Orphan, ...]) -> ServerReplica:
    return ServerReplica(
        index=event.replica,
        capabilities=tuple(sorted({capability.strip() for capability in event.capabilities})),
        memory=event.memory,
        available_memory=event.memory if event.available_memory is None else event.available_memory,
        draining=False,
        drained=False,
        inference_host=event.inference_host,
        http_port=event.http_port,
        grpc_port=event.grpc_port,
        connected_ms=event.at_ms,
        orphans=orphans,
    )


def _adopt(draft: Draft, name: str, event: ServerReplicaConnected, listed: set[Orphan]) -> list[int]:
    """Bring the model's entries on the replica in line with what it has loaded; return the versions with an entry."""
    model = draft.model(name)
    if model is None:
        return []
    second = fallback(model)
    versions, present = [], []
    for version in model.versions:
        entry = find_index(version.replicas, event.replica) if version.server == event.server else None
        if entry is None:
            versions.append(version)
            continue
        present.append(version.version)
        retiring = _retires(model, version, second)
        if Orphan(name, version.version) in listed:
            state = LOADED if entry.state in READOPTED and not retiring else UNLOAD_REQUESTED
            versions.append(_with_entry(version, Replica(event.replica, state, "", event.at_ms)))
        else:
            versions.append(_without_entry(draft, name, version, entry, retiring=retiring))
    _put_versions(draft, model, versions)
    if held(versions[-1]) > versions[-1].deployment.replicas:
        draft.to_place[name] = None
    return present


def _lose(draft: Draft, name: str, event: ServerReplicaDisconnected) -> None:
    model = draft.model(name)
    if model is None:
        return
    second = fallback(model)
    versions = []
    for version in model.versions:
        entry = find_index(version.replicas, event.replica) if version.server == event.server else None
        if entry is not None:
            retiring = _retires(model, version, second)
            versions.append(_without_entry(draft, name, version, entry, retiring=retiring))
        else:
            versions.append(version)
    _put_versions(draft, model, versions)


def _drain(draft: Draft, name: str, event: ServerReplicaDraining) -> None:
    model = draft.model(name)
    if model is None:
        return
    versions = []
    for version in model.versions:
        entry = find_index(version.replicas, event.replica) if version.server == event.server else None
        if entry is not None and entry.state in DRAIN:
            draft.to_place[name] = None
            versions.append(_with_entry(version, Replica(event.replica, DRAIN[entry.state], "", event.at_ms)))
        else:
            versions.append(version)
    _put_versions(draft, model, versions)


def _put_versions(draft: Draft, model: Model, versions: list[Version]) -> None:
    if tuple(versions) != model.versions:
        draft.put_model(replace(model, versions=tuple(versions)))


def _retires(model: Model, version: Version, second: Version | None) -> bool:
    return model.deleted or (version is not model.versions[-1] and version is not second)


def _with_entry(version: Version, entry: Replica) -> Version:
    replicas = tuple([entry if replica.index == entry.index else replica for replica in version.replicas])
    return replace(version, replicas=replicas)


def _without_entry(draft: Draft, name: str, version: Version, entry: Replica, *, retiring: bool) -> Version:
    """Return the version after a lost entry: unloaded if it retires, else removed and placed again."""
    if not retiring:
        draft.to_place[name] = None
        return replace(version, replicas=tuple([replica for replica in version.replicas if replica is not entry]))
    if entry.state not in LOST:
        return version
    draft.emptied |= {version.server}
    return _with_entry(version, Replica(entry.index, LOST[entry.state], "", draft.at_ms))
