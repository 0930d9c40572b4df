"""The rule of the clock: what was deleted is forgotten, what failed is tried again."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from processor.cluster.agenda import due_by
from processor.cluster.draft import Draft
from processor.cluster.entities import Failure, PipelineVersion, RoleProgress
from processor.cluster.events import ClockTicked
from processor.cluster.failures import ENGINE, GATEWAY, LOAD, ROUTE_FAILED, TERMINATE, UNLOAD, next_retry_ms
from processor.cluster.lifecycle import FAILED, LOAD_FAILED, TERMINATE_FAILED, UNLOAD_RETRIED
from processor.cluster.pipeline_lifecycle import RETRIED
from processor.cluster.pipeline_settlement import ENGINE_ROLE, GATEWAY_ROLE, responders_of
from processor.cluster.placement import INSUFFICIENT_REPLICAS, NO_MATCHING_SERVER
from processor.cluster.role_progress import start
from processor.cluster.rollout import with_states


def clock_ticked(draft: Draft, event: ClockTicked) -> None:
    """Forget first, then try again by (since, key) what is due."""
    for key in due_by(draft.tombstones, event.at_ms - draft.policy.tombstone_ttl_ms):
        _forget(draft, key)
    due = [(failure.since_ms, key) for key in due_by(draft.retries, event.at_ms) if (failure := draft.failure(key))]
    for _, key in sorted(due):
        _retry(draft, key)


def _forget(draft: Draft, key: str) -> None:
    kind, _, name = key.partition("/")
    if kind == "model":
        draft.remove_model(name)
    elif kind == "pipeline":
        draft.pipelines[name] = None
    else:
        draft.experiments[name] = None


def _retry(draft: Draft, key: str) -> None:
    failure = draft.failure(key)
    if failure is None or _is_forgotten(draft, failure):
        return
    draft.failures[key] = replace(
        failure,
        attempts=failure.attempts + 1,
        next_retry_ms=next_retry_ms(draft),
    )
    RETRIES[failure.kind, failure.code](draft, failure.name)


def _is_forgotten(draft: Draft, failure: Failure) -> bool:
    find = {"model": draft.model, "pipeline": draft.pipeline, "experiment": draft.experiment}[failure.kind]
    return find(failure.name) is None


def _place(draft: Draft, name: str) -> None:
    model = draft.model(name)
    if model is not None:
        draft.put_model(model)
        draft.to_place[name] = None


def _load(draft: Draft, name: str) -> None:
    model = draft.model(name)
    if model is not None:
        latest = model.versions[-1]
        rest = tuple([replica for replica in latest.replicas if replica.state != LOAD_FAILED])
        draft.put_latest(model, replace(latest, replicas=rest))
        draft.to_place[name] = None


def _route(draft: Draft, name: str) -> None:
    model = draft.model(name)
    if model is not None:
        draft.put_model(replace(model, route_revision=model.route_revision + 1))


def _unload(draft: Draft, name: str) -> None:
    model = draft.model(name)
    if model is not None:
        draft.put_model(with_states(model, UNLOAD_RETRIED, draft.at_ms))


def _engine(draft: Draft, name: str) -> None:
    _with_latest(draft, name, lambda version: replace(version, engine=_asked(draft, version.engine, ENGINE_ROLE)))


def _gateway(draft: Draft, name: str) -> None:
    _with_latest(draft, name, lambda version: replace(version, gateway=_asked(draft, version.gateway, GATEWAY_ROLE)))


def _terminate(draft: Draft, name: str) -> None:
    pipeline = draft.pipeline(name)
    if pipeline is not None:
        versions = tuple([_deleted_again(draft, version) for version in pipeline.versions])
        draft.pipelines[name] = replace(pipeline, versions=versions)


def _split(draft: Draft, name: str) -> None:
    experiment = draft.experiment(name)
    if experiment is not None:
        revision = experiment.route_revision + 1
        draft.experiments[name] = replace(experiment, route_revision=revision, status="", reason="")


RETRIES: Final[Mapping[tuple[str, str], Callable[[Draft, str], None]]] = MappingProxyType(
    {
        ("model", NO_MATCHING_SERVER): _place,
        ("model", INSUFFICIENT_REPLICAS): _place,
        ("model", LOAD): _load,
        ("model", ROUTE_FAILED): _route,
        ("model", UNLOAD): _unload,
        ("pipeline", ENGINE): _engine,
        ("pipeline", GATEWAY): _gateway,
        ("pipeline", TERMINATE): _terminate,
        ("experiment", ROUTE_FAILED): _split,
    }
)
"""(kind, code of the failure) → what is tried again."""


def _with_latest(draft: Draft, name: str, change: Callable[[PipelineVersion], PipelineVersion]) -> None:
    pipeline = draft.pipeline(name)
    if pipeline is not None:
        versions = (*pipeline.versions[:-1], change(pipeline.versions[-1]))
        draft.pipelines[name] = replace(pipeline, versions=versions)


def _asked(draft: Draft, progress: RoleProgress, role: str) -> RoleProgress:
    return start(progress, RETRIED[FAILED], responders_of(draft, role))


def _deleted_again(draft: Draft, version: PipelineVersion) -> PipelineVersion:
    engine, gateway = version.engine, version.gateway
    if engine.state == TERMINATE_FAILED:
        engine = start(engine, RETRIED[TERMINATE_FAILED], responders_of(draft, ENGINE_ROLE))
    if gateway.state == TERMINATE_FAILED:
        gateway = start(gateway, RETRIED[TERMINATE_FAILED], responders_of(draft, GATEWAY_ROLE))
    return replace(version, engine=engine, gateway=gateway)
