"""The verdict of placement on every server and replica, in the present state."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from immutables import Map
from msgspec import Struct

from processor.cluster.entities import Replica, Server, ServerReplica, Version
from processor.cluster.indexes import required
from processor.cluster.lifecycle import HELD, UNROUTE_REQUESTED
from processor.cluster.placement import REQUIREMENTS_FEW, filter_code
from processor.cluster.state import State

FITS: Final = "fits"
FITS_PARTLY: Final = "fits_partly"
INSUFFICIENT: Final = "insufficient"

FILTER_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_replicas": "no replica is connected",
        "pinned_elsewhere": "the model is pinned to another server",
        "not_shared": "it is not shared, and the model is not pinned to it",
        "expects_none": "it is declared to have no replicas",
    }
)
"""Code of a server filter → what it means."""


class ServerVerdict(Struct, frozen=True):
    """Whether a server takes the version: `fits`, `fits_partly` (its minimum), or the code of the reason against it."""

    server: str
    code: str
    why: str
    suitable: int
    connected: int


class ReplicaVerdict(Struct, frozen=True):
    """Whether one replica suits the version; `free` is what it reported less what is reserved, in bytes."""

    server: str
    replica: int
    suitable: bool
    why: str
    required: int
    free: int
    available_memory: int
    reserved: int
    missing: tuple[str, ...]
    draining: bool


def server_verdicts(state: State, version: Version) -> tuple[ServerVerdict, ...]:
    """Return the verdict on every server, by name."""
    return tuple(_server_verdict(state, version, state.servers[name]) for name in state.indexes.server_names)


def replica_verdicts(state: State, version: Version) -> tuple[ReplicaVerdict, ...]:
    """Return the verdict on every replica of the servers that pass the filters, by name and index."""
    return tuple(
        _replica_verdict(state, version, name, replica)
        for name in state.indexes.server_names
        if not filter_code(state.servers[name], version.spec.server)
        for replica in state.servers[name].replicas
    )


def reserved_on(state: State, server: str, index: int) -> int:
    """Return the bytes that versions still to be loaded on a server replica will need."""
    load = state.indexes.usage.get(server, _EMPTY).get(index)
    return 0 if load is None else int(load.reserved)


_EMPTY: Final = Map()


def _server_verdict(state: State, version: Version, server: Server) -> ServerVerdict:
    connected = len(server.replicas)
    code = filter_code(server, version.spec.server)
    if code:
        return ServerVerdict(server.name, code, FILTER_CODES[code], 0, connected)
    verdicts = [_replica_verdict(state, version, server.name, replica) for replica in server.replicas]
    suitable = sum(verdict.suitable for verdict in verdicts)
    wanted, least = version.deployment.replicas, version.deployment.min_replicas
    counted = f"{suitable} of {connected} connected replicas suit, {wanted} wanted"
    if suitable >= wanted:
        return ServerVerdict(server.name, FITS, counted, suitable, connected)
    if least and suitable >= least:
        return ServerVerdict(server.name, FITS_PARTLY, f"{counted}, {least} would do", suitable, connected)
    return ServerVerdict(
        server.name, INSUFFICIENT, f"{counted}{f', at least {least}' if least else ''}", suitable, connected
    )


def _replica_verdict(state: State, version: Version, server: str, replica: ServerReplica) -> ReplicaVerdict:
    reserved = reserved_on(state, server, replica.index)
    free = max(0, replica.available_memory - reserved)
    wanted, present = version.spec.requirements, replica.capabilities
    known = present if len(wanted) <= REQUIREMENTS_FEW else frozenset(present)
    missing = tuple(word for word in wanted if word not in known)
    suitable, why = _suits(_entry(version, server, replica.index), replica, required(version), free, missing)
    return ReplicaVerdict(
        server,
        replica.index,
        suitable,
        why,
        required(version),
        free,
        replica.available_memory,
        reserved,
        missing,
        replica.draining,
    )


def _suits(
    entry: Replica | None, replica: ServerReplica, needed: int, free: int, missing: tuple[str, ...]
) -> tuple[bool, str]:
    if replica.draining:
        return False, "is draining"
    if entry is not None and (entry.state in HELD or entry.state == UNROUTE_REQUESTED):
        return True, f"has it already ({entry.state})"
    lacking = [f"lacks {', '.join(missing)}"] if missing else []
    if needed > free:
        lacking.append(f"needs {needed} bytes, {free} are free")
    return not lacking, "; ".join(lacking) or "has room"


def _entry(version: Version, server: str, index: int) -> Replica | None:
    if version.server != server:
        return None
    return next((replica for replica in version.replicas if replica.index == index), None)
