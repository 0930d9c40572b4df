"""Indexes: what one entity contributes to each, and how a change of it moves the counts.

The tables alone answer every question, slowly. The indexes answer in constant time those that rules ask on every
event: which models are on a server replica and how much memory they reserve (`usage`), how many replicas the models of
a server want (`demand`), which models wait for room (`waiting`), who uses a model (`linked`), what is finished.

Each index is a sum of contributions of single entities, and there are two ways to compute it: `draft` subtracts what an
entity contributed and adds what it contributes now, `loading` adds up everything. **Invariant**: both give the same;
the invariant tests recompute every index. Indexes are never stored and never compared.

`usage_deltas` is the hot path. Versions and entries that are the very same object are skipped, and of the others only
what differs in memory or occupancy (`_COSTS`) is counted.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from immutables import Map

from processor.cluster.entities import Experiment, Model, Pipeline, Replica, Version
from processor.cluster.headroom import Demand
from processor.cluster.lifecycle import (
    BEING_LOADED,
    DRAINING,
    LOAD_FAILED,
    OCCUPYING,
    REPLICA_STATES,
    SCHEDULE_FAILED,
    TERMINATED,
)
from processor.cluster.rollout import held
from processor.cluster.state import Usage
from processor.cluster.statuses import STOPPED

Deltas = dict[tuple[str, int], list[int]]
"""(server, index) → what is added to reserved, occupied, blocking and the number of the model's entries."""

PRESENT: Final = True
"""The value of a persistent map that is only a set of keys."""

PARTLY: Final[Demand] = ("", (), -1)
BROKEN: Final[Demand] = ("", (), -2)
"""The groups of `waiting` for models that are bound or have entries."""

NO_PLACES: Final[frozenset[tuple[str, int]]] = frozenset()

Nested = Any
"""A persistent map of persistent maps."""


def required(version: Version) -> int:
    """Return the bytes that one replica of the version needs."""
    return version.spec.memory * version.spec.instances


def demand_by(version: Version) -> Demand:
    """Return what the version demands of a server besides the bytes of each replica."""
    deployment = version.deployment
    return version.spec.server, version.spec.requirements, deployment.min_replicas or deployment.replicas


def waiting_of(model: Model | None) -> tuple[Demand, int] | None:
    """Return the group of a model that may be placed better and the bytes that one replica needs; else None.

    A model that is nowhere is grouped by its demand. Others are BROKEN if only a server replica that connects makes
    a retry worth while, else PARTLY; their bytes are 0.
    """
    if model is None or model.deleted:
        return None
    latest = model.versions[-1]
    blamed = latest.placement_failure is not None
    if not blamed and held(latest) >= latest.deployment.replicas:
        return None
    if not latest.server and not latest.replicas:
        return demand_by(latest), required(latest)
    broken = not blamed and any(replica.state == LOAD_FAILED for replica in latest.replicas)
    return (BROKEN if broken else PARTLY), 0


def demand_of(model: Model | None) -> tuple[str, int] | None:
    """Return the server that a model's latest version is bound to and how many replicas it wants there."""
    if model is None or model.deleted:
        return None
    latest = model.versions[-1]
    return (latest.server, latest.deployment.replicas) if latest.server else None


def blockers(model: Model | None) -> frozenset[tuple[str, int]]:
    """Return the server replicas that must not count as drained because of the model; NO_PLACES itself if none."""
    if model is None:
        return NO_PLACES
    draining = False
    for version in model.versions:
        if version.available_replicas:
            return NO_PLACES
        draining = draining or version.draining_replicas > 0
    if not draining or model.versions[-1].status == SCHEDULE_FAILED:
        return NO_PLACES
    return frozenset(
        (version.server, replica.index)
        for version in model.versions
        for replica in version.replicas
        if replica.state == DRAINING
    )


def usage_deltas(old: Model | None, new: Model | None) -> Deltas:
    """Return how the usage changes when one model replaces the other, its blockers left out."""
    deltas: Deltas = {}
    before = old.versions if old is not None else ()
    after = new.versions if new is not None else ()
    if len(before) == len(after):
        for position, version in enumerate(after):
            if version is not before[position]:
                _count_both(deltas, before[position], version)
    else:
        shared = _shared(before, after) if before and after else 0
        gone, come = before[shared:], after[shared:]
        for version in gone:
            if version not in come:
                _count(deltas, version, version.replicas, -1)
        for version in come:
            if version not in gone:
                _count(deltas, version, version.replicas, 1)
    return deltas


def add_blockers(deltas: Deltas, freed: Iterable[tuple[str, int]], blocked: Iterable[tuple[str, int]]) -> None:
    """Count one model's blockers out and in."""
    for at in freed:
        deltas.setdefault(at, [0, 0, 0, 0])[2] -= 1
    for at in blocked:
        deltas.setdefault(at, [0, 0, 0, 0])[2] += 1


def apply_deltas(usage: Nested, model: str, deltas: Deltas) -> Nested:
    """Return the usage with one model's deltas added."""
    rows: dict[str, Any] = {}
    for (server, index), delta in deltas.items():
        row = rows[server] if server in rows else usage.get(server, _EMPTY)
        changed = _added(row.get(index), model, delta)
        if changed is not None:
            rows[server] = row.set(index, changed)
        elif index in row:
            rows[server] = row.delete(index)
    for server, row in rows.items():
        usage = usage.set(server, row) if row else usage.delete(server)
    return usage


def counted(counts: Nested, key: Any, inner: Any, change: int) -> Nested:
    """Return key → inner → count with `change` added to one count; what is zero is not there."""
    row = counts.get(key, _EMPTY)
    count = row.get(inner, 0) + change
    row = row.set(inner, count) if count else row.delete(inner)
    return counts.set(key, row) if row else counts.delete(key)


def grouped(groups: Nested, name: str, before: tuple[Any, int] | None, after: tuple[Any, int] | None) -> Nested:
    """Return group → name → number with `name` moved from the group before to the group after."""
    if before is not None:
        row = groups[before[0]].delete(name)
        groups = groups.set(before[0], row) if row else groups.delete(before[0])
    if after is not None:
        groups = groups.set(after[0], groups.get(after[0], _EMPTY).set(name, after[1]))
    return groups


def linked(links: Nested, name: str, before: Iterable[Any], after: Iterable[Any]) -> Nested:
    """Return key → names with `name` moved from the keys before to the keys after."""
    old, new = set(before), set(after)
    for key in sorted(old - new):
        row = links[key].delete(name)
        links = links.set(key, row) if row else links.delete(key)
    for key in sorted(new - old):
        links = links.set(key, links.get(key, _EMPTY).set(name, PRESENT))
    return links


def models_of(pipeline: Pipeline | None) -> set[str]:
    """Return the models that some version of the pipeline has as a step."""
    return set() if pipeline is None else {step.name for version in pipeline.versions for step in version.steps}


def candidates_of(experiment: Experiment | None) -> set[tuple[str, str]]:
    """Return (kind, name) of what an experiment splits its traffic over, the mirror included."""
    if experiment is None:
        return set()
    names = {candidate.name for candidate in experiment.candidates}
    if experiment.mirror is not None:
        names.add(experiment.mirror.name)
    return {(experiment.kind, name) for name in names}


def default_of(experiment: Experiment | None) -> set[tuple[str, str]]:
    """Return (kind, default) of a running experiment that has one."""
    if experiment is None or experiment.deleted or not experiment.default:
        return set()
    return {(experiment.kind, experiment.default)}


def finished_ms(kind: str, entity: Any) -> int | None:
    """Return when the entity was deleted if it is finished: nothing of it is left to unload or stop. Else None."""
    if entity is None or not entity.deleted:
        return None
    if kind == "experiment":
        return entity.deleted_ms if entity.status == STOPPED else None
    if kind == "model" and len(entity.versions) > 1:
        return None
    for version in entity.versions:
        if version.status != TERMINATED:
            return None
    done_ms: int | None = entity.deleted_ms
    return done_ms


def frozen_nested(nested: Mapping[Any, Mapping[Any, Any]]) -> Nested:
    """Return plain nested dictionaries as nested persistent maps."""
    return Map({key: Map(inner) for key, inner in nested.items()})


_EMPTY: Final = Map()


_IDLE, _OCCUPIES, _RESERVES = (0, 0), (0, 1), (1, 1)
_COSTS: Final = {
    **dict.fromkeys(REPLICA_STATES, _IDLE),
    **dict.fromkeys(OCCUPYING, _OCCUPIES),
    **dict.fromkeys(BEING_LOADED, _RESERVES),
}
"""State of an entry → (1 if memory is reserved for it, 1 if it occupies its server replica)."""


def _shared(before: tuple[Version, ...], after: tuple[Version, ...]) -> int:
    """Count the first versions that are the very same in both."""
    count = 0
    for old, new in zip(before, after, strict=False):
        if old is not new:
            break
        count += 1
    return count


def _count_both(deltas: Deltas, old: Version, new: Version) -> None:
    """Subtract the entries that went, add those that came; the entries of both are ascending by index."""
    before, after, position = old.replicas, new.replicas, 0
    if old.server != new.server or old.spec is not new.spec:
        _count(deltas, old, before, -1)
        _count(deltas, new, after, 1)
        return
    if before is after:
        return
    for entry in after:
        if position < len(before) and before[position] is entry:
            position += 1
            continue
        while position < len(before) and before[position].index < entry.index:
            _count(deltas, old, before[position : position + 1], -1)
            position += 1
        if position < len(before) and before[position].index == entry.index:
            if _COSTS[entry.state] is not _COSTS[before[position].state]:
                _shift(deltas, new, before[position], entry)
            position += 1
        else:
            _count(deltas, new, (entry,), 1)
    _count(deltas, old, before[position:], -1)


def _shift(deltas: Deltas, version: Version, old: Replica, new: Replica) -> None:
    (reserved, occupied), (reserves, occupies) = _COSTS[old.state], _COSTS[new.state]
    delta = deltas.setdefault((version.server, new.index), [0, 0, 0, 0])
    delta[0] += (reserves - reserved) * required(version)
    delta[1] += occupies - occupied


def _count(deltas: Deltas, version: Version, replicas: Iterable[Replica], sign: int) -> None:
    for replica in replicas:
        at = (version.server, replica.index)
        delta = deltas.get(at)
        if delta is None:
            delta = deltas[at] = [0, 0, 0, 0]
        delta[3] += sign
        if replica.state in OCCUPYING:
            delta[1] += sign
            if replica.state in BEING_LOADED:
                delta[0] += sign * version.spec.memory * version.spec.instances


def _added(usage: Usage | None, model: str, delta: list[int]) -> Usage | None:
    if usage is None:
        return Usage(delta[0], delta[1], delta[2], _EMPTY.set(model, delta[3])) if delta[3] else None
    models = usage.models
    if delta[3]:
        count = models.get(model, 0) + delta[3]
        models = models.set(model, count) if count else models.delete(model)
    if not models:
        return None
    return Usage(usage.reserved + delta[0], usage.occupied + delta[1], usage.blocking + delta[2], models)
