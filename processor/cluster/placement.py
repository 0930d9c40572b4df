"""Which server takes a model's latest version, and on which of its replicas."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from processor.cluster.draft import NOTHING, Draft
from processor.cluster.entities import Model, Orphan, PlacementDetail, PlacementFailure, Replica, Server, Version
from processor.cluster.indexes import required
from processor.cluster.lifecycle import (
    AVAILABLE,
    DRAINING,
    GONE,
    HELD,
    LOAD_REQUESTED,
    LOADED,
    UNLOADED,
    UNROUTE_REQUESTED,
)
from processor.cluster.rollout import held, released, routed
from processor.cluster.rows import find_index
from processor.cluster.scaling import ask_for_more

NO_MATCHING_SERVER: Final = "no_matching_server"
INSUFFICIENT_REPLICAS: Final = "insufficient_replicas"
_NONE: Final[dict[int, str]] = {}

Wish = tuple[str, tuple[str, ...], int, int, int]
"""Pinned server, requirements, bytes, replicas and at least how many."""


class Choice(Struct, frozen=True, gc=False):
    """A server and its replicas for a version; `whole` if there are as many as the version wants."""

    server: str
    indexes: frozenset[int]
    whole: bool


def place(draft: Draft, name: str) -> None:
    """Place a model's latest version again: what suits stays, what is missing is requested, what is too much leaves."""
    model = draft.model(name)
    if model is None or model.deleted:
        return
    choice = choose(draft, model.versions[-1])
    if choice is not None:
        settle_on(draft, model, choice)
    else:
        _give_up(draft, model)


def place_if_better(draft: Draft, model: Model, latest: Version) -> bool:
    """Place `latest`, as the model's latest version, if that improves on the model as it is; else leave no trace."""
    choice = choose(draft, latest)
    present = model.versions[-1]
    if choice is None or (present.placement_failure is None and len(choice.indexes) <= held(present)):
        return False
    settle_on(draft, replace(model, versions=(*model.versions[:-1], latest)), choice)
    return True


def choose(draft: Draft, version: Version) -> Choice | None:
    """Return where the version can go: all its replicas on the first server that has room, else as many as may do."""
    draft.sync()
    wanted, least = version.deployment.replicas, version.deployment.min_replicas
    if wanted == 0:
        return Choice(version.server, frozenset(), whole=True)
    best: tuple[int, ...] = ()
    best_server = ""
    needed, room, bound = required(version), draft.room, version.server
    for server in _candidates(draft, version):
        if server.name in room and room[server.name] < needed and server.name != bound:
            continue
        most = len(server.replicas)
        if most < wanted and (least == 0 or most < least or most <= len(best)):
            continue
        suitable = _suitable(draft, server, version)
        if len(suitable) >= wanted:
            return Choice(server.name, frozenset(suitable[:wanted]), whole=True)
        if least and len(suitable) >= least and len(suitable) > len(best):
            best, best_server = suitable, server.name
    return Choice(best_server, frozenset(best), whole=False) if best else None


def wish_of(version: Version) -> Wish | None:
    """Return what a version that is nowhere asks for; two that ask for the same have the same choice. Else None."""
    if version.server or version.replicas:
        return None
    spec, deployment = version.spec, version.deployment
    return spec.server, spec.requirements, required(version), deployment.replicas, deployment.min_replicas


def objection(server: Server, version: Version) -> str:
    """Return why the server may not take the version, whatever room it has; "" if it may."""
    if not server.replicas:
        return "no_replicas"
    if version.spec.server:
        if version.spec.server != server.name:
            return "pinned_elsewhere"
    elif not server.shared:
        return "not_shared"
    return "expects_none" if server.expected_replicas == 0 else ""


def settle_on(draft: Draft, model: Model, choice: Choice) -> None:
    """Bind the latest version as chosen; one that still has entries elsewhere gets a successor that is bound so."""
    latest = model.versions[-1]
    moved = latest.server != choice.server
    if moved and any(replica.state not in GONE for replica in latest.replicas):
        successor = _successor(latest, choice.server, draft.at_ms)
        placed = replace(successor, replicas=_entries(draft, model.name, successor, choice))
        draft.put_model(replace(model, versions=(*model.versions, placed)))
    else:
        bound = replace(latest, server=choice.server, replicas=()) if moved else latest
        replicas = _entries(draft, model.name, bound, choice)
        placed = bound
        if replicas != bound.replicas or bound.placement_failure is not None:
            placed = replace(bound, replicas=replicas, placement_failure=None)
        draft.put_latest(model, placed)
    if not choice.whole:
        ask_for_more(draft, choice.server, placed)


def _candidates(draft: Draft, version: Version) -> Iterator[Server]:
    """Yield the servers that may take the version, the bound one first, the others by name."""
    bound, pinned = version.server, version.spec.server
    first = pinned or bound
    if first:
        server = draft.server(first)
        if server is not None and not objection(server, version):
            yield server
    if pinned:
        return
    overlay, table = draft.servers, draft.state.servers
    for name in draft.server_names:
        if name != bound:
            server = overlay[name] if name in overlay else table.get(name)
            if server is not None and server.replicas and server.shared and server.expected_replicas:
                yield server


def _suitable(draft: Draft, server: Server, version: Version) -> tuple[int, ...]:
    own = {replica.index: replica.state for replica in version.replicas} if version.server == server.name else _NONE
    usage = draft.usage.get(server.name, NOTHING)
    needed, requirements = required(version), version.spec.requirements
    found = []
    for replica in server.replicas:
        if replica.draining:
            continue
        load = usage.get(replica.index)
        free = max(replica.available_memory - load.reserved, 0) if load is not None else replica.available_memory
        state = own.get(replica.index)
        if state in HELD:
            found.append((0 if state == AVAILABLE else 1, -free, replica.index))
        elif state == UNROUTE_REQUESTED or (needed <= free and _can(replica.capabilities, requirements)):
            found.append((2, -free, replica.index))
    if not found:
        _learn_room(draft, server)
    found.sort()
    return tuple([index for _, _, index in found])


def _learn_room(draft: Draft, server: Server) -> None:
    usage = draft.usage.get(server.name, NOTHING)
    reserved = {index: load.reserved for index, load in usage.items()}
    free = [replica.available_memory - reserved.get(replica.index, 0) for replica in server.replicas]
    draft.learn_room(server.name, max(free))


def _can(capabilities: tuple[str, ...], requirements: tuple[str, ...]) -> bool:
    for requirement in requirements:  # noqa: SIM110 - a generator costs more than the loop
        if requirement not in capabilities:
            return False
    return True


def _successor(version: Version, server: str, at_ms: int) -> Version:
    return Version(version.version + 1, version.spec, version.deployment, server, (), None, "", "", at_ms, 0, 0, 0)


def _entries(draft: Draft, name: str, version: Version, choice: Choice) -> tuple[Replica, ...]:
    announced = routed(draft.announced(name), version)
    entries = {replica.index: replica for replica in version.replicas}
    for replica in version.replicas:
        if replica.index not in choice.indexes:
            entries[replica.index] = _deselected(draft, version, replica, announced)
    for index in sorted(choice.indexes):
        entries[index] = _selected(draft, name, version, index)
    return tuple([entries[index] for index in sorted(entries)])


def _selected(draft: Draft, name: str, version: Version, index: int) -> Replica:
    entry: Replica | None = find_index(version.replicas, index)
    if entry is not None and entry.state in HELD:
        return entry
    if entry is not None and entry.state == UNROUTE_REQUESTED:
        return Replica(index, LOADED, "", draft.at_ms)
    _forget_orphan(draft, version.server, index, Orphan(name, version.version))
    return Replica(index, LOAD_REQUESTED, "", draft.at_ms)


def _deselected(draft: Draft, version: Version, replica: Replica, announced: tuple[int, ...]) -> Replica:
    if replica.state == DRAINING and version.deployment.replicas:
        return replica
    after = released(replica, announced, draft.at_ms)
    if after.state == UNLOADED and after is not replica:
        draft.emptied |= {version.server}
    return after


def _forget_orphan(draft: Draft, server_name: str, index: int, orphan: Orphan) -> None:
    server = draft.server(server_name)
    replica = find_index(server.replicas, index) if server is not None else None
    if server is not None and replica is not None and orphan in replica.orphans:
        rest = tuple([other for other in replica.orphans if other != orphan])
        draft.put_server_replica(server, replace(replica, orphans=rest))


def _give_up(draft: Draft, model: Model) -> None:
    latest = model.versions[-1]
    failure = _refusal(draft, latest)
    gone = all(replica.state in GONE for replica in latest.replicas)
    server, replicas = ("", ()) if gone else (latest.server, latest.replicas)
    if (server, replicas, failure) != (latest.server, latest.replicas, latest.placement_failure):
        latest = replace(latest, server=server, replicas=replicas, placement_failure=failure)
    draft.put_latest(model, latest)
    target = _asked(draft, latest)
    if target:
        ask_for_more(draft, target, latest)


def _refusal(draft: Draft, version: Version) -> PlacementFailure:
    details = []
    for name in draft.server_names:
        server = draft.server(name)
        if server is not None:
            details.append(PlacementDetail(name, objection(server, version) or "insufficient"))
    passed = any(detail.code == "insufficient" for detail in details)
    return PlacementFailure(INSUFFICIENT_REPLICAS if passed else NO_MATCHING_SERVER, tuple(details))


def _asked(draft: Draft, version: Version) -> str:
    if version.server or version.spec.server:
        return version.server or version.spec.server
    return min([server.name for server in _candidates(draft, version)], default="")
