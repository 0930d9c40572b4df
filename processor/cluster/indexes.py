"""How the indexes follow the tables: what one entity contributes, incrementally and for all at once."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from immutables import Map

from processor.cluster.entities import Experiment, Model, Pipeline, Version
from processor.cluster.lifecycle import DRAINING, OCCUPYING, ON_THE_WAY, SCHEDULE_FAILED, TERMINATED
from processor.cluster.rollout import held
from processor.cluster.state import Usage

Deltas = dict[tuple[str, int], list[int]]
"""(server, index) → what is added to reserved, occupied, blocking and the number of the model's entries."""

PRESENT: Final = True
"""The value of a persistent map that is only a set of keys."""

Nested = Any
"""A persistent map of persistent maps."""


def required(version: Version) -> int:
    """Return the bytes that one replica of the version needs."""
    return version.spec.memory * version.spec.instances


def waits(model: Model | None) -> bool:
    """Tell whether a model might be placed better than it is."""
    if model is None or model.deleted:
        return False
    latest = model.versions[-1]
    return latest.placement_failure is not None or held(latest) < latest.deployment.replicas


def demand_of(model: Model | None) -> tuple[str, int] | None:
    """Return the server that a model's latest version is bound to and how many replicas it wants there."""
    if model is None or model.deleted or not model.versions[-1].server:
        return None
    return model.versions[-1].server, model.versions[-1].deployment.replicas


def blockers(model: Model | None) -> set[tuple[str, int]]:
    """Return the server replicas that the model keeps from being drained."""
    if model is None or not any(version.draining_replicas for version in model.versions):
        return set()
    if model.versions[-1].status == SCHEDULE_FAILED or any(version.available_replicas for version in model.versions):
        return set()
    return {
        (version.server, replica.index)
        for version in model.versions
        for replica in version.replicas
        if replica.state == DRAINING
    }


def usage_deltas(old: Model | None, new: Model | None) -> Deltas:
    """Return how the usage changes when one model is replaced by the other."""
    deltas: Deltas = {}
    before = old.versions if old is not None else ()
    after = new.versions if new is not None else ()
    for version in before:
        if not any(version is kept for kept in after):
            _weigh(deltas, version, -1)
    for version in after:
        if not any(version is kept for kept in before):
            _weigh(deltas, version, 1)
    for replica in blockers(old):
        deltas.setdefault(replica, [0, 0, 0, 0])[2] -= 1
    for replica in blockers(new):
        deltas.setdefault(replica, [0, 0, 0, 0])[2] += 1
    return deltas


def apply_deltas(usage: Nested, model: str, deltas: Deltas) -> Nested:
    """Return the usage with one model's deltas added."""
    for (server, index), delta in deltas.items():
        if any(delta):
            replicas = usage.get(server, Map())
            changed = _added(replicas.get(index), model, delta)
            replicas = replicas.delete(index) if changed is None else replicas.set(index, changed)
            usage = usage.set(server, replicas) if replicas else usage.delete(server)
    return usage


def counted(counts: Nested, key: Any, inner: Any, change: int) -> Nested:
    """Return key → inner → count with `change` added to one count; what is zero is not there."""
    row = counts.get(key, Map())
    count = row.get(inner, 0) + change
    row = row.set(inner, count) if count else row.delete(inner)
    return counts.set(key, row) if row else counts.delete(key)


def linked(links: Nested, name: str, before: Iterable[Any], after: Iterable[Any]) -> Nested:
    """Return key → names with `name` moved from the keys before to the keys after."""
    old, new = set(before), set(after)
    for key in sorted(old - new):
        row = links[key].delete(name)
        links = links.set(key, row) if row else links.delete(key)
    for key in sorted(new - old):
        links = links.set(key, links.get(key, Map()).set(name, PRESENT))
    return links


def models_of(pipeline: Pipeline | None) -> set[str]:
    """Return the models that some version of the pipeline has as a step."""
    return set() if pipeline is None else {step.name for version in pipeline.versions for step in version.steps}


def parts_of(experiment: Experiment | None) -> set[tuple[str, str]]:
    """Return (kind, name) of the candidates and the mirror."""
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
    """Return when the entity was deleted if nothing of it is left to do, else None."""
    if entity is None or not entity.deleted:
        return None
    if kind == "experiment":
        return entity.deleted_ms if entity.status == "Stopped" else None
    if kind == "model" and len(entity.versions) > 1:
        return None
    return entity.deleted_ms if all(version.status == TERMINATED for version in entity.versions) else None


def frozen_nested(nested: Mapping[Any, Mapping[Any, Any]]) -> Nested:
    """Return plain nested dictionaries as nested persistent maps."""
    return Map({key: Map(inner) for key, inner in nested.items()})


def _weigh(deltas: Deltas, version: Version, sign: int) -> None:
    bytes_needed = required(version)
    for replica in version.replicas:
        delta = deltas.setdefault((version.server, replica.index), [0, 0, 0, 0])
        if replica.state in ON_THE_WAY:
            delta[0] += sign * bytes_needed
        if replica.state in OCCUPYING:
            delta[1] += sign
        delta[3] += sign


def _added(usage: Usage | None, model: str, delta: list[int]) -> Usage | None:
    reserved, occupied, blocking, models = (
        (usage.reserved, usage.occupied, usage.blocking, usage.models) if usage is not None else (0, 0, 0, Map())
    )
    if delta[3]:
        count = models.get(model, 0) + delta[3]
        models = models.set(model, count) if count else models.delete(model)
    if not models:
        return None
    return Usage(reserved + delta[0], occupied + delta[1], blocking + delta[2], models)
