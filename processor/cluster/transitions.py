"""Transitions: named differences of an entity before and after, which agents, routers and operators act upon.

They are announced, so types, attributes and their order are a stored format. They come from comparing two entities
only, never from the event: replaying records, or skipping some, cannot change what a difference is called.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct, field

from processor.cluster.entities import (
    Experiment,
    Model,
    Pipeline,
    PipelineVersion,
    Replica,
    Route,
    Server,
    ServerReplica,
    Version,
)
from processor.cluster.lifecycle import LOAD_REQUESTED, TERMINATING, UNLOAD_REQUESTED
from processor.cluster.pipeline_lifecycle import CREATING, REBALANCING
from processor.cluster.role_progress import progress_of, roles_of
from processor.cluster.rollout import routes


class ServerTransition(Struct, frozen=True, gc=False):
    """A difference of a server; attributes that do not apply are None."""

    type: str
    replica: int | None = None
    to: int | None = None
    model: str | None = None
    version: int | None = None


class ModelTransition(Struct, frozen=True, gc=False):
    """A difference of a model; attributes that do not apply are None. `from_` is written `from`."""

    type: str
    version: int | None = None
    server: str | None = None
    replica: int | None = None
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    reason: str | None = None
    route_revision: int | None = None
    routes: tuple[Route, ...] | None = None


class PipelineTransition(Struct, frozen=True, gc=False):
    """A difference of a pipeline; attributes that do not apply are None. `from_` is written `from`."""

    type: str
    version: int | None = None
    role: str | None = None
    sequence: int | None = None
    from_: str | None = field(default=None, name="from")
    reason: str | None = None


class ExperimentTransition(Struct, frozen=True, gc=False):
    """A difference of an experiment; attributes that do not apply are None. `from_` is written `from`."""

    type: str
    route_revision: int | None = None
    wanted: bool | None = None
    from_: str | None = field(default=None, name="from")
    reason: str | None = None


class ResponderTransition(Struct, frozen=True, gc=False):
    """A responder was added, changed or removed."""

    type: str


class FailureTransition(Struct, frozen=True, gc=False):
    """A failure was added, changed or removed."""

    type: str


class PolicyTransition(Struct, frozen=True, gc=False):
    """The policy changed."""

    type: str


_REQUESTS: Final[Mapping[str, str]] = {
    CREATING: "PipelineCreateRequested",
    REBALANCING: "PipelineRebalanceRequested",
    TERMINATING: "PipelineDeleteRequested",
}
_REPLICA_REQUESTS: Final = {LOAD_REQUESTED: "ReplicaLoadRequested", UNLOAD_REQUESTED: "ReplicaUnloadRequested"}


def server_transitions(before: Server | None, after: Server | None) -> Iterator[ServerTransition]:
    """Yield the record first, then its replicas by index."""
    if before is None or after is None:
        yield ServerTransition("ServerAdded" if before is None else "ServerRemoved")
    asked = after.requested_replicas if after is not None else None
    if asked is not None and asked != (before.requested_replicas if before is not None else None):
        yield ServerTransition("ServerScaleRequested", to=asked)
    for index, old, new in _joined(before.replicas if before else (), after.replicas if after else ()):
        if old is not new:
            yield from _server_replica(index, old, new)


def model_transitions(before: Model | None, after: Model | None) -> Iterator[ModelTransition]:
    """Yield the record first, then versions with their replicas, then routes, then statuses."""
    if before is None or after is None:
        yield ModelTransition("ModelAdded" if before is None else "ModelRemoved")
    versions = list(_joined(before.versions if before else (), after.versions if after else ()))
    for number, old, new in versions:
        if old is None or new is None:
            yield ModelTransition("ModelVersionAdded" if old is None else "ModelVersionRemoved", version=number)
        if old is not new:
            yield from _replicas(number, old, new)
    if after is None:
        return
    if after.route_revision != (before.route_revision if before else 0):
        yield ModelTransition("ModelRoutesChanged", route_revision=after.route_revision, routes=routes(after))
    for number, old, new in versions:
        was = old.status if old is not None else ""
        if new is not None and new.status != was:
            yield ModelTransition(f"Model{new.status}", version=number, from_=was, reason=new.reason)


def pipeline_transitions(before: Pipeline | None, after: Pipeline | None) -> Iterator[PipelineTransition]:
    """Yield the record first, then versions with their roles and flag, then statuses."""
    if before is None or after is None:
        yield PipelineTransition("PipelineAdded" if before is None else "PipelineRemoved")
    versions = list(_joined(before.versions if before else (), after.versions if after else ()))
    for number, old, new in versions:
        if old is None or new is None:
            yield PipelineTransition(
                "PipelineVersionAdded" if old is None else "PipelineVersionRemoved", version=number
            )
        if new is not None and new is not old:
            yield from _roles_and_flag(number, old, new)
    for number, old, new in versions:
        was = old.status if old is not None else ""
        if after is not None and new is not None and new.status != was:
            yield PipelineTransition(f"Pipeline{new.status}", version=number, from_=was, reason=new.reason)


def experiment_transitions(before: Experiment | None, after: Experiment | None) -> Iterator[ExperimentTransition]:
    """Yield the record first, then routes, then the status."""
    if before is None or after is None:
        yield ExperimentTransition("ExperimentAdded" if before is None else "ExperimentRemoved")
    if after is None:
        return
    if after.route_revision != (before.route_revision if before else 0):
        revision, wanted = after.route_revision, after.routes_wanted
        yield ExperimentTransition("ExperimentRoutesChanged", route_revision=revision, wanted=wanted)
    was = before.status if before is not None else ""
    if after.status != was:
        yield ExperimentTransition(f"Experiment{after.status}", from_=was, reason=after.reason)


def _plain(prefix: str, transition: Callable[[str], Any]) -> Callable[[Any, Any], Iterator[Any]]:
    def transitions(before: Any, after: Any) -> Iterator[Any]:
        word = "Added" if before is None else "Removed" if after is None else "Changed"
        yield transition(f"{prefix}{word}")

    return transitions


TRANSITIONS: Final[Mapping[str, Callable[[Any, Any], Iterator[Any]]]] = MappingProxyType(
    {
        "policy": _plain("Policy", PolicyTransition),
        "server": server_transitions,
        "responder": _plain("Responder", ResponderTransition),
        "model": model_transitions,
        "pipeline": pipeline_transitions,
        "experiment": experiment_transitions,
        "failure": _plain("Failure", FailureTransition),
    }
)


def _joined(before: tuple[Any, ...], after: tuple[Any, ...]) -> Iterator[tuple[int, Any, Any]]:
    """Yield key, item before and item after of two tables, by key."""
    if not before and not after:
        return
    key = (*before, *after)[0].__struct_fields__[0]
    old = {getattr(item, key): item for item in before}
    new = {getattr(item, key): item for item in after}
    for value in sorted(old.keys() | new.keys()):
        yield value, old.get(value), new.get(value)


def _server_replica(index: int, old: ServerReplica | None, new: ServerReplica | None) -> Iterator[ServerTransition]:
    if old is None or new is None:
        yield ServerTransition("ServerReplicaAdded" if old is None else "ServerReplicaRemoved", replica=index)
    if new is None:
        return
    if new.draining and not (old is not None and old.draining):
        yield ServerTransition("ServerReplicaDraining", replica=index)
    if new.drained and not (old is not None and old.drained):
        yield ServerTransition("ServerReplicaDrained", replica=index)
    known = old.orphans if old is not None and old.connected_ms == new.connected_ms else ()
    if new.orphans is known:
        return
    told = frozenset(known)
    for orphan in new.orphans:
        if orphan not in told:
            yield ServerTransition("OrphanUnloadRequested", replica=index, model=orphan.model, version=orphan.version)


def _replicas(number: int, old: Version | None, new: Version | None) -> Iterator[ModelTransition]:
    was, now = (old.server if old else ""), (new.server if new else "")
    for _, one, other in _joined(old.replicas if old else (), new.replicas if new else ()):
        if was == now or one is None or other is None:
            yield from _replica(number, was if other is None else now, one, other)
        else:
            yield from _replica(number, was, one, None)
            yield from _replica(number, now, None, other)


def _replica(number: int, server: str, old: Replica | None, new: Replica | None) -> Iterator[ModelTransition]:
    if old is not None and new is not None and (old.state, old.since_ms) == (new.state, new.since_ms):
        return
    index = old.index if old is not None else new.index if new is not None else 0
    was, now = (old.state if old else ""), (new.state if new else "")
    kind = _REPLICA_REQUESTS.get(now, "ReplicaStateChanged")
    reason = new.reason if new is not None else ""
    yield ModelTransition(kind, number, server, index, was, now, reason)


def _roles_and_flag(number: int, old: PipelineVersion | None, new: PipelineVersion) -> Iterator[PipelineTransition]:
    for role, progress in roles_of(new):
        known = progress_of(old, role).sequence if old is not None else 0
        if progress.state in _REQUESTS and progress.sequence != known:
            yield PipelineTransition(_REQUESTS[progress.state], version=number, role=role, sequence=progress.sequence)
    if new.models_ready != (old is not None and old.models_ready):
        yield PipelineTransition(
            "PipelineModelsReady" if new.models_ready else "PipelineModelsNotReady", version=number
        )
