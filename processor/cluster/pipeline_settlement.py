"""The step that makes everything derived of a touched pipeline true again."""

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
    """Settle one pipeline. Return whether its serving changed."""
    served = pipeline_serves(draft.state.pipelines.get(name))
    pipeline = draft.pipeline(name)
    if pipeline is None:
        return served
    versions = _without_finished(_succeeded(draft, pipeline.versions))
    latest = versions[-1]
    settled = tuple([_settled(draft, version, pipeline, latest=version is latest) for version in versions])
    draft.pipelines[name] = replace(pipeline, versions=settled)
    return pipeline_serves(draft.pipelines[name]) != served


def pipeline_serves(pipeline: Pipeline | None) -> bool:
    """Tell whether some version of the pipeline is ready."""
    return pipeline is not None and any(version.status == READY for version in pipeline.versions)


def ended(draft: Draft, version: PipelineVersion) -> PipelineVersion:
    """Have every axis of the version that is not ending yet deleted, engine first."""
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


def _succeeded(draft: Draft, versions: tuple[PipelineVersion, ...]) -> tuple[PipelineVersion, ...]:
    """Have what is older than a version that is whole end: it is not needed any more."""
    whole = [place for place, version in enumerate(versions) if _is_up(version)]
    if not whole:
        return versions
    older = [ended(draft, version) for version in versions[: whole[-1]]]
    return (*older, *versions[whole[-1] :])


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
