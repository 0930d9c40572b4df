"""Settlement of a pipeline: after an event its versions are retired and their statuses derived.

A new version is created beside the older ones, which serve until both roles of a newer version are up; then they are
deleted. A version whose roles are both terminated is dropped, except the latest. `models_ready` and the status follow
from the roles and from what the models serve.
"""

from msgspec.structs import replace

from processor.cluster.draft import Draft
from processor.cluster.entities import Pipeline, PipelineVersion, RoleProgress
from processor.cluster.lifecycle import FAILED, TERMINATE_FAILED, TERMINATED
from processor.cluster.pipeline_lifecycle import (
    CREATING,
    DELETE,
    ENDING,
    ENGINE_ROLE,
    GATEWAY_ROLE,
    PIPELINE_ENDING_STATUS,
    PIPELINE_LIVE_STATUS,
    READY,
    TO_CREATE,
    UP,
    PipelineFacts,
)
from processor.cluster.role_progress import start
from processor.cluster.statuses import status_of


def settle_pipeline(draft: Draft, name: str) -> bool:
    """Settle one pipeline. Return whether it begins or ceases to serve."""
    served = pipeline_serves(draft.state.pipelines.get(name))
    pipeline = draft.pipeline(name)
    if pipeline is None:
        return served
    versions = _without_finished(_without_superseded(draft, pipeline.versions))
    latest = versions[-1]
    settled = tuple([_settled(draft, version, pipeline, latest=version is latest) for version in versions])
    draft.pipelines[name] = replace(pipeline, versions=settled)
    return pipeline_serves(draft.pipelines[name]) != served


def pipeline_serves(pipeline: Pipeline | None) -> bool:
    """Tell whether the pipeline takes traffic: some version is ready."""
    return pipeline is not None and any(version.status == READY for version in pipeline.versions)


def ended(draft: Draft, version: PipelineVersion) -> PipelineVersion:
    """Request the deletion of every role of the version that is not ending yet, engine first."""
    return replace(
        version,
        engine=_ended(draft, version.engine, ENGINE_ROLE),
        gateway=_ended(draft, version.gateway, GATEWAY_ROLE),
    )


def responders_of(draft: Draft, role: str) -> tuple[str, ...]:
    """Return the connected responders of a role, by name."""
    names: tuple[str, ...] = draft.role_responders.get(role, ())
    return names


def _ended(draft: Draft, progress: RoleProgress, role: str) -> RoleProgress:
    return progress if progress.state in ENDING else start(progress, DELETE, responders_of(draft, role))


def _without_superseded(draft: Draft, versions: tuple[PipelineVersion, ...]) -> tuple[PipelineVersion, ...]:
    """Delete the versions that are older than the newest one with both roles up."""
    up = [position for position, version in enumerate(versions) if _is_up(version)]
    if not up:
        return versions
    older = [ended(draft, version) for version in versions[: up[-1]]]
    return (*older, *versions[up[-1] :])


def _without_finished(versions: tuple[PipelineVersion, ...]) -> tuple[PipelineVersion, ...]:
    left = [version for version in versions[:-1] if not _is_terminated(version)]
    return (*left, versions[-1])


def _is_up(version: PipelineVersion) -> bool:
    return version.engine.state in UP and version.gateway.state in UP


def _is_terminated(version: PipelineVersion) -> bool:
    return version.engine.state == TERMINATED == version.gateway.state


def _settled(draft: Draft, version: PipelineVersion, pipeline: Pipeline, *, latest: bool) -> PipelineVersion:
    ready = all(_model_serves(draft, step.name) for step in version.steps)
    axes = (version.engine, version.gateway)
    ending = pipeline.deleted or (not latest and any(progress.state in ENDING for progress in axes))
    facts = PipelineFacts(version.engine.state, version.gateway.state, ready)
    status = status_of(PIPELINE_ENDING_STATUS if ending else PIPELINE_LIVE_STATUS, facts)
    since_ms = version.status_since_ms if status == version.status else draft.at_ms
    derived = (ready, status, _reason(axes, status), since_ms)
    if derived == (version.models_ready, version.status, version.reason, version.status_since_ms):
        return version
    return replace(version, models_ready=ready, status=status, reason=derived[2], status_since_ms=since_ms)


def _model_serves(draft: Draft, name: str) -> bool:
    view = draft.serving_view(name)
    return view is not None and view.serving


def _reason(axes: tuple[RoleProgress, RoleProgress], status: str) -> str:
    wanted = {FAILED: FAILED, TERMINATE_FAILED: TERMINATE_FAILED, CREATING: TO_CREATE}.get(status)
    return next((progress.reason for progress in axes if progress.state == wanted), "")
