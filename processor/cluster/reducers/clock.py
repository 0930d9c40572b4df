"""The tick of the clock: entities deleted long enough ago are forgotten, failed operations are retried."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec.structs import replace

from processor.cluster.agenda import due_by
from processor.cluster.draft import Draft
from processor.cluster.entities import Experiment, Failure, Model, Pipeline, PipelineVersion
from processor.cluster.events import ClockTicked
from processor.cluster.failures import ENGINE, GATEWAY, LOAD, ROUTE_FAILED, TERMINATE, UNLOAD, next_retry_ms
from processor.cluster.lifecycle import FAILED, LOAD_FAILED, TERMINATE_FAILED, UNLOAD_RETRIED
from processor.cluster.pipeline_lifecycle import ENGINE_ROLE, GATEWAY_ROLE, RETRIED
from processor.cluster.pipeline_settlement import responders_of
from processor.cluster.placement import INSUFFICIENT_REPLICAS, NO_MATCHING_SERVER
from processor.cluster.role_progress import progress_of, roles_of, start, with_progress
from processor.cluster.rollout import with_states


def clock_ticked(draft: Draft, event: ClockTicked) -> None:
    """Forget first; then retry what is due, by (since, key)."""
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
    entity = _subject(draft, failure) if failure is not None else None
    if failure is None or entity is None:
        return
    draft.failures[key] = replace(failure, attempts=failure.attempts + 1, next_retry_ms=next_retry_ms(draft))
    RETRIES[failure.kind, failure.code](draft, entity)


def _subject(draft: Draft, failure: Failure) -> Any:
    find = {"model": draft.model, "pipeline": draft.pipeline, "experiment": draft.experiment}[failure.kind]
    return find(failure.name)


def _place(draft: Draft, model: Model) -> None:
    draft.put_model(model)
    draft.to_place[model.name] = None


def _load(draft: Draft, model: Model) -> None:
    latest = model.versions[-1]
    rest = tuple([replica for replica in latest.replicas if replica.state != LOAD_FAILED])
    draft.put_latest(model, replace(latest, replicas=rest))
    draft.to_place[model.name] = None


def _route_model(draft: Draft, model: Model) -> None:
    draft.put_model(replace(model, route_revision=model.route_revision + 1))


def _unload(draft: Draft, model: Model) -> None:
    draft.put_model(with_states(model, UNLOAD_RETRIED, draft.at_ms))


def _create_on(role: str) -> Callable[[Draft, Pipeline], None]:
    def create(draft: Draft, pipeline: Pipeline) -> None:
        latest = pipeline.versions[-1]
        progress = start(progress_of(latest, role), RETRIED[FAILED], responders_of(draft, role))
        versions = (*pipeline.versions[:-1], with_progress(latest, role, progress))
        draft.pipelines[pipeline.name] = replace(pipeline, versions=versions)

    return create


def _terminate(draft: Draft, pipeline: Pipeline) -> None:
    versions = tuple([_deleted_again(draft, version) for version in pipeline.versions])
    draft.pipelines[pipeline.name] = replace(pipeline, versions=versions)


def _route_experiment(draft: Draft, experiment: Experiment) -> None:
    revision = experiment.route_revision + 1
    draft.experiments[experiment.name] = replace(experiment, route_revision=revision, status="", reason="")


RETRIES: Final[Mapping[tuple[str, str], Callable[[Draft, Any], None]]] = MappingProxyType(
    {
        ("model", NO_MATCHING_SERVER): _place,
        ("model", INSUFFICIENT_REPLICAS): _place,
        ("model", LOAD): _load,
        ("model", ROUTE_FAILED): _route_model,
        ("model", UNLOAD): _unload,
        ("pipeline", ENGINE): _create_on(ENGINE_ROLE),
        ("pipeline", GATEWAY): _create_on(GATEWAY_ROLE),
        ("pipeline", TERMINATE): _terminate,
        ("experiment", ROUTE_FAILED): _route_experiment,
    }
)
"""(kind, code of the failure) → how the entity is tried again."""


def _deleted_again(draft: Draft, version: PipelineVersion) -> PipelineVersion:
    for role, progress in roles_of(version):
        if progress.state == TERMINATE_FAILED:
            again = start(progress, RETRIED[TERMINATE_FAILED], responders_of(draft, role))
            version = with_progress(version, role, again)
    return version
