"""Placement: which server takes a model's latest version, and on which of its replicas.

The rules, in the order in which a server is judged:

1. *Filters* (`filter_code`) need no arithmetic: some replica connected, the pin, `shared`, not declared empty.
2. *Suitable replicas* (`_suitable`): not draining, and either they hold the version already or they have the required
   capabilities and enough free memory. Order: available, held, free; then most free memory, then lowest index.
3. *Full pass*: the bound server first, then by name; the first with all wanted replicas wins. *Minimum pass*: if none
   has all, and `min_replicas` allows fewer, the server with the most suitable replicas.

`choose` judges and changes nothing but the caches (`headroom` and `placement_failures`). `settle_on` applies a choice.
A version with entries left on another server is never moved in place: a successor version with the same definition is
bound to the new server, so that the old one serves until the successor is rolled out (see `rollout`). Without a choice
`_give_up` records why each server refused and leaves the entries alone: what serves goes on serving.

Callers are `generator` for the models in `draft.to_place`, `waiting`, and `reducers.models` for repeated requests. They
rely on `choose` seeing all earlier placements of the same event: it calls `draft.sync_usage` first.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from processor.cluster.draft import NOTHING, Draft
from processor.cluster.entities import Model, Orphan, PlacementDetail, PlacementFailure, Replica, Server, Version
from processor.cluster.headroom import (
    ANY,
    BLOCK_SERVERS,
    NOTHING_FITS,
    PLACEMENT_FAILURES_MAX,
    Demand,
    upper_bound,
    with_block_bound,
    with_bound,
)
from processor.cluster.indexes import demand_by, required
from processor.cluster.lifecycle import (
    AVAILABLE,
    DRAINING,
    GONE,
    HELD,
    LOAD_REQUESTED,
    SELECTED,
    UNLOADED,
    UNROUTE_REQUESTED,
)
from processor.cluster.rollout import held, released, routed
from processor.cluster.scaling import ask_for_more

NO_MATCHING_SERVER: Final = "no_matching_server"
INSUFFICIENT_REPLICAS: Final = "insufficient_replicas"
PASSED: Final = "insufficient"
"""The code of a server that passes the filters and lacks suitable replicas."""

REQUIREMENTS_FEW: Final = 8
"""Up to this many requirements are compared one by one; beyond, a set costs less. One request can hold 100,000."""


class Choice(Struct, frozen=True, gc=False):
    """A server and the indexes of its replicas for a version; `whole`: as many as the version wants."""

    server: str
    indexes: frozenset[int]
    whole: bool


def place(draft: Draft, name: str) -> None:
    """Place a model's latest version: suitable entries stay, missing ones are requested, surplus ones leave."""
    model = draft.model(name)
    if model is None or model.deleted:
        return
    choice = choose(draft, model.versions[-1])
    if choice is not None:
        settle_on(draft, model, choice)
    else:
        _give_up(draft, model)


def place_if_better(draft: Draft, model: Model, latest: Version) -> bool:
    """Place `latest` as the model's latest version if that improves on the present one; else change nothing."""
    choice = choose(draft, latest)
    present = model.versions[-1]
    if choice is None or (present.placement_failure is None and len(choice.indexes) <= held(present)):
        return False
    settle_on(draft, replace(model, versions=(*model.versions[:-1], latest)), choice)
    return True


def choose(draft: Draft, version: Version) -> Choice | None:
    """Return where the version can go: the first server with room for all replicas, else for the most that suffice."""
    draft.sync_usage()
    wanted, least = version.deployment.replicas, version.deployment.min_replicas
    if wanted == 0:
        return Choice(version.server, frozenset(), whole=True)
    best: list[int] = []
    best_server, bound = "", version.server
    demand, needed = demand_by(version), required(version)
    for server in _candidates(draft, demand, needed, bound):
        own = version.replicas if server.name == bound else ()
        suitable = _suitable(draft, server, demand, needed, own)
        if len(suitable) >= wanted:
            return Choice(server.name, frozenset(suitable[:wanted]), whole=True)
        if least and len(suitable) >= least and len(suitable) > len(best):
            best, best_server = suitable, server.name
    return Choice(best_server, frozenset(best), whole=False) if best else None


def has_room(draft: Draft, demand: Demand, needed: int) -> bool:
    """Tell whether an unbound version with this demand, which needs these bytes a replica, would find a server."""
    draft.sync_usage()
    for server in _candidates(draft, demand, needed, ""):
        if len(_suitable(draft, server, demand, needed, ())) >= demand[2]:
            return True
    return False


def filter_code(server: Server, pinned: str) -> str:
    """Return the code of the filter that keeps a version with this pin ("" = none) off the server; "" if all pass."""
    if not server.replicas:
        return "no_replicas"
    if pinned:
        if pinned != server.name:
            return "pinned_elsewhere"
    elif not server.shared:
        return "not_shared"
    return "expects_none" if server.expected_replicas == 0 else ""


def settle_on(draft: Draft, model: Model, choice: Choice) -> None:
    """Bind the latest version as chosen, or its successor if it still has entries on another server."""
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


def _candidates(draft: Draft, demand: Demand, needed: int, bound: str) -> Iterator[Server]:
    """Yield the servers that pass the filters, the bound one first, then by name, without those known to be full."""
    pinned = demand[0]
    if bound or pinned:
        server = draft.server(pinned or bound)
        known = 0 if bound else upper_bound(draft.headroom, demand)
        if server is not None and (bound or known >= needed) and not filter_code(server, pinned):
            yield server
        if pinned:
            return
    names = draft.server_names
    for start in range(0, len(names), BLOCK_SERVERS):
        bounds = draft.headroom.of(demand)
        if bounds.most < needed:
            return
        if bounds.blocks.get(start, ANY) < needed:
            continue
        for name in names[start : start + BLOCK_SERVERS]:
            if name == bound or bounds.servers.get(name, ANY) < needed:
                continue
            server = draft.server(name)
            if server is not None and not filter_code(server, ""):
                yield server
            else:
                draft.headroom = with_bound(draft.headroom, demand, name, NOTHING_FITS)
        draft.headroom = with_block_bound(draft.headroom, demand, start, names)


def _suitable(draft: Draft, server: Server, demand: Demand, needed: int, own: tuple[Replica, ...]) -> list[int]:
    """Return the indexes of the suitable replicas, best first; `own`: the version's entries if it is bound there."""
    states = {replica.index: replica.state for replica in own}
    usage = draft.usage.get(server.name, NOTHING)
    capabilities: tuple[str, ...] | None = None
    able, found = False, []
    for replica in server.replicas:
        if replica.draining:
            continue
        if replica.capabilities != capabilities:
            capabilities = replica.capabilities
            able = _can(capabilities, demand[1])
        index, free = replica.index, replica.available_memory
        load = usage.get(index)
        if load is not None:
            free = free - load.reserved if free > load.reserved else 0
        state = states.get(index) if own else None
        if state in HELD:
            found.append((0 if state == AVAILABLE else 1, -free, index))
        elif (able and needed <= free) or state == UNROUTE_REQUESTED:
            found.append((2, -free, index))
    if len(found) < demand[2]:
        _learn(draft, server, demand)
    found.sort()
    return [index for _, _, index in found]


def _learn(draft: Draft, server: Server, demand: Demand) -> None:
    """Note the bound of a server that was too full: the most memory that enough of its replicas have free."""
    usage = draft.usage.get(server.name, NOTHING)
    reserved = {index: load.reserved for index, load in usage.items()}
    free = sorted(
        [
            max(replica.available_memory - reserved.get(replica.index, 0), 0)
            for replica in server.replicas
            if not replica.draining and _can(replica.capabilities, demand[1])
        ]
    )
    bound = free[-demand[2]] if len(free) >= demand[2] else NOTHING_FITS
    draft.headroom = with_bound(draft.headroom, demand, server.name, bound)


def _can(capabilities: tuple[str, ...], requirements: tuple[str, ...]) -> bool:
    if len(requirements) > REQUIREMENTS_FEW:
        return set(requirements).issubset(capabilities)
    for requirement in requirements:  # noqa: SIM110 - a generator costs more than the loop
        if requirement not in capabilities:
            return False
    return True


def _successor(version: Version, server: str, at_ms: int) -> Version:
    return Version(version.version + 1, version.spec, version.deployment, server, (), None, "", "", at_ms, 0, 0, 0)


def _entries(draft: Draft, name: str, version: Version, choice: Choice) -> tuple[Replica, ...]:
    announced = routed(draft.announced(name), version)
    entries: dict[int, Replica] = {}
    for replica in version.replicas:
        if replica.index not in choice.indexes:
            entries[replica.index] = _deselected(draft, version, replica, announced)
        elif replica.state in HELD:
            entries[replica.index] = replica
        elif SELECTED[replica.state] != LOAD_REQUESTED:
            entries[replica.index] = Replica(replica.index, SELECTED[replica.state], "", draft.at_ms)
    asked = [index for index in choice.indexes if index not in entries]
    for index in asked:
        entries[index] = Replica(index, LOAD_REQUESTED, "", draft.at_ms)
    if asked:
        _forget_orphans(draft, version.server, asked, Orphan(name, version.version))
    return tuple([entries[index] for index in sorted(entries)])


def _deselected(draft: Draft, version: Version, replica: Replica, announced: tuple[int, ...]) -> Replica:
    if replica.state == DRAINING and version.deployment.replicas:
        return replica
    after = released(replica, announced, draft.at_ms)
    if after.state == UNLOADED and after is not replica:
        draft.emptied |= {version.server}
    return after


def _forget_orphans(draft: Draft, server_name: str, indexes: list[int], orphan: Orphan) -> None:
    server = draft.server(server_name)
    if server is None:
        return
    for replica in server.replicas:
        if replica.orphans and replica.index in indexes and orphan in replica.orphans:
            rest = tuple([other for other in replica.orphans if other != orphan])
            draft.put_server_replica(draft.server(server_name) or server, replace(replica, orphans=rest))


def _give_up(draft: Draft, model: Model) -> None:
    latest = model.versions[-1]
    failure = _failure(draft, latest.spec.server)
    gone = all(replica.state in GONE for replica in latest.replicas)
    server, replicas = ("", ()) if gone else (latest.server, latest.replicas)
    if (server, replicas, failure) != (latest.server, latest.replicas, latest.placement_failure):
        latest = replace(latest, server=server, replicas=replicas, placement_failure=failure)
    draft.put_latest(model, latest)
    target = latest.server or latest.spec.server or _first_passed(failure)
    if target:
        ask_for_more(draft, target, latest)


def _failure(draft: Draft, pinned: str) -> PlacementFailure:
    """Return the failure of a version with this pin: the code of every server."""
    known: PlacementFailure | None = draft.placement_failures.get(pinned)
    if known is None:
        details = []
        for name in draft.server_names:
            server = draft.server(name)
            if server is not None:
                details.append(PlacementDetail(name, filter_code(server, pinned) or PASSED))
        passed = any(detail.code == PASSED for detail in details)
        known = PlacementFailure(INSUFFICIENT_REPLICAS if passed else NO_MATCHING_SERVER, tuple(details))
        remembered = draft.placement_failures if len(draft.placement_failures) < PLACEMENT_FAILURES_MAX else NOTHING
        draft.placement_failures = remembered.set(pinned, known)
    return known


def _first_passed(failure: PlacementFailure) -> str:
    return next((detail.server for detail in failure.details if detail.code == PASSED), "")
