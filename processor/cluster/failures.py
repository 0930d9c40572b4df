"""Failures: what is wrong with an entity, how long it is remembered, and when it is tried again.

A failure entry is the memory of an operation that did not work. Its life:

* It begins when a *cause* is found on a touched model, pipeline or experiment (`CAUSES`): code and message.
* It stays, `since_ms` and `attempts` kept, while the entity is neither well (`IS_WELL`) nor gone: a model that is being
  loaded again has no cause at the moment, and is not well yet. Another cause replaces code and message only.
* It ends when the entity is well, is gone, or a new request of a user makes a new start (`forget_failure`).

It is retried at `next_retry_ms`, at most `retry_limit` times, and only while it is unresolved: there is a cause, or
routes are not applied yet. `Indexes.retries` holds exactly those times; `reducers.clock` acts on them,
`generator.due_ms` says when the next tick is needed, and `waiting` takes turns by `since_ms`.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from processor.cluster.draft import Draft
from processor.cluster.entities import INTEGER_MAX, Experiment, Failure, Model, Pipeline, PlacementFailure, Replica
from processor.cluster.headroom import PLACEMENT_FAILURES_MAX
from processor.cluster.lifecycle import (
    AVAILABLE,
    FAILED,
    LOAD_FAILED,
    SCALED_DOWN,
    SCHEDULE_FAILED,
    TERMINATE_FAILED,
    TERMINATED,
    UNLOAD_FAILED,
)
from processor.cluster.pipeline_lifecycle import MODELS_UNAVAILABLE, READY
from processor.cluster.role_progress import roles_of
from processor.cluster.statuses import ACTIVE, STOPPED

ROUTE_FAILED: Final = "route_failed"
UNLOAD: Final = "unload_failed"
LOAD: Final = "load_failed"
ENGINE: Final = "engine_failed"
GATEWAY: Final = "gateway_failed"
TERMINATE: Final = "terminate_failed"


class Cause(Struct, frozen=True, gc=False):
    """What is wrong with an entity now."""

    code: str
    message: str


def model_cause(model: Model) -> Cause | None:
    """Return what is wrong with a model, None if nothing is."""
    latest = model.versions[-1]
    if latest.status == SCHEDULE_FAILED and latest.placement_failure is not None:
        return Cause(latest.placement_failure.code, _details_of(latest.placement_failure))
    if latest.status == FAILED:
        failed = any(replica.state == LOAD_FAILED for replica in latest.replicas)
        return Cause(LOAD if failed else ROUTE_FAILED, latest.reason)
    for version in model.versions:
        for replica in version.replicas:
            if replica.state == UNLOAD_FAILED:
                return Cause(UNLOAD, _newest_stuck(model).reason)
    return None


def pipeline_cause(pipeline: Pipeline) -> Cause | None:
    """Return what is wrong with a pipeline, None if nothing is."""
    latest = pipeline.versions[-1]
    if latest.engine.state == FAILED:
        return Cause(ENGINE, latest.engine.reason)
    if latest.gateway.state == FAILED:
        return Cause(GATEWAY, latest.gateway.reason)
    for version in pipeline.versions:
        for _, progress in roles_of(version):
            if progress.state == TERMINATE_FAILED:
                return Cause(TERMINATE, progress.reason)
    return None


def experiment_cause(experiment: Experiment) -> Cause | None:
    """Return what is wrong with an experiment, None if nothing is."""
    return Cause(ROUTE_FAILED, experiment.reason) if experiment.status == FAILED else None


@lru_cache(maxsize=PLACEMENT_FAILURES_MAX)
def _details_of(failure: PlacementFailure) -> str:
    return "; ".join([f"{detail.server}: {detail.code}" for detail in failure.details])


def _newest_stuck(model: Model) -> Replica:
    stuck = [
        (replica.since_ms, version.version, replica.index, replica)
        for version in model.versions
        for replica in version.replicas
        if replica.state == UNLOAD_FAILED
    ]
    return max(stuck)[-1]


def _model_is_well(model: Model, code: str) -> bool:
    applied = code != ROUTE_FAILED or model.route_applied_revision == model.route_revision
    return applied and model.versions[-1].status in {AVAILABLE, SCALED_DOWN, TERMINATED}


def _pipeline_is_well(pipeline: Pipeline, _: str) -> bool:
    return pipeline.versions[-1].status in {READY, MODELS_UNAVAILABLE, TERMINATED}


def _experiment_is_well(experiment: Experiment, _: str) -> bool:
    return experiment.status in {ACTIVE, STOPPED}


CAUSES: Final[Mapping[str, Callable[[Any], Cause | None]]] = MappingProxyType(
    {"model": model_cause, "pipeline": pipeline_cause, "experiment": experiment_cause}
)
IS_WELL: Final[Mapping[str, Callable[[Any, str], bool]]] = MappingProxyType(
    {"model": _model_is_well, "pipeline": _pipeline_is_well, "experiment": _experiment_is_well}
)


def settle_failure(draft: Draft, kind: str, name: str, entity: Any) -> None:
    """Record, change or end the failure of one touched entity (None: it is gone), and schedule its retry."""
    key = f"{kind}/{name}"
    entry = draft.failure(key)
    cause = None if entity is None else CAUSES[kind](entity)
    reported = cause if cause is not None or draft.route_failure is None else _route_report(draft, kind, name, entity)
    if entry is None and reported is None and key not in draft.retries.times:
        return
    if reported is not None:
        entry = _recorded(draft, kind, name, entry, reported)
    elif entry is not None and (entity is None or IS_WELL[kind](entity, entry.code)):
        entry = None
    if entry is not draft.failure(key):
        draft.failures[key] = entry
    stands = entry is not None and entry.attempts < draft.policy.retry_limit and is_unresolved(entity, entry, cause)
    draft.note_retry(key, entry.next_retry_ms if entry is not None and stands else None)


def is_unresolved(entity: Any, entry: Failure, cause: Cause | None) -> bool:
    """Tell whether a retry has something to do: there is a cause, or routes are not applied yet."""
    if cause is not None:
        return True
    return entry.code == ROUTE_FAILED and bool(entity.route_applied_revision != entity.route_revision)


def forget_failure(draft: Draft, kind: str, name: str) -> None:
    """Drop the failure of an entity because a user's request makes a new start."""
    key = f"{kind}/{name}"
    if draft.failure(key) is not None:
        draft.failures[key] = None


def next_retry_ms(draft: Draft) -> int:
    """Return when an operation that fails now is retried, at most the largest time there is."""
    return min(draft.at_ms + draft.policy.retry_interval_ms, INTEGER_MAX)


def retry_time(failure: Failure, entity: Any, retry_limit: int) -> int | None:
    """Return when a failure is retried, None if it is not."""
    if entity is None or failure.attempts >= retry_limit:
        return None
    return failure.next_retry_ms if is_unresolved(entity, failure, CAUSES[failure.kind](entity)) else None


def _route_report(draft: Draft, kind: str, name: str, entity: Any) -> Cause | None:
    if entity is None or kind != "model" or draft.route_failure is None or draft.route_failure[0] != name:
        return None
    return Cause(ROUTE_FAILED, draft.route_failure[1])


def _recorded(draft: Draft, kind: str, name: str, entry: Failure | None, cause: Cause) -> Failure:
    if entry is None:
        return Failure(kind, name, cause.code, cause.message, draft.at_ms, 0, next_retry_ms(draft))
    if (entry.code, entry.message) == (cause.code, cause.message):
        return entry
    return replace(entry, code=cause.code, message=cause.message)
