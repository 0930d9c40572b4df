"""The events of pipelines: requests of users and answers of responders."""

from msgspec.structs import replace

from processor.cluster.draft import Draft
from processor.cluster.entities import Answer, NameValue, Pipeline, PipelineVersion, Step, StepOutput
from processor.cluster.event_fields import OutputFields, StepFields
from processor.cluster.events import PipelineLoadRequested, PipelineReported, PipelineUnloadRequested
from processor.cluster.failures import forget_failure
from processor.cluster.pipeline_checks import refusal
from processor.cluster.pipeline_lifecycle import ANSWER_FAILED, CREATE, ENGINE_ROLE, GATEWAY_ROLE, PENDING, SUCCEEDED
from processor.cluster.pipeline_settlement import ended, responders_of
from processor.cluster.rejection import Rejected, is_repeat, stale_generation, unknown_target
from processor.cluster.role_progress import NOT_REQUESTED, progress_of, start, with_answer, with_progress
from processor.cluster.rows import find

Definition = tuple[tuple[Step, ...], StepOutput, bool]


def pipeline_load_requested(draft: Draft, event: PipelineLoadRequested) -> Rejected | None:
    """Add a version for a new definition; it is created beside the older ones."""
    if rejected := refusal(event):
        return rejected
    pipeline = draft.pipeline(event.pipeline)
    if pipeline is not None and not pipeline.deleted:
        if rejected := stale_generation(pipeline.generation, event.generation):
            return rejected
        if is_repeat(pipeline.generation, event.generation):
            return None
    forget_failure(draft, "pipeline", event.pipeline)
    definition = _definition(event)
    if pipeline is not None and not pipeline.deleted and _defines(pipeline.versions[-1], definition):
        draft.pipelines[event.pipeline] = replace(pipeline, generation=event.generation)
        return None
    known = pipeline.versions if pipeline is not None else ()
    number = known[-1].version + 1 if known else 1
    versions = (*known, _created(draft, number, definition))
    draft.pipelines[event.pipeline] = Pipeline(
        name=event.pipeline, generation=event.generation, deleted=False, deleted_ms=None, versions=versions
    )
    return None


def pipeline_unload_requested(draft: Draft, event: PipelineUnloadRequested) -> Rejected | None:
    """Request the deletion of all versions."""
    pipeline = draft.pipeline(event.pipeline)
    if pipeline is None:
        return unknown_target("pipeline", event.pipeline)
    if pipeline.deleted:
        return None
    if rejected := stale_generation(pipeline.generation, event.generation):
        return rejected
    forget_failure(draft, "pipeline", event.pipeline)
    draft.pipelines[event.pipeline] = Pipeline(
        name=event.pipeline,
        generation=event.generation,
        deleted=True,
        deleted_ms=event.at_ms,
        versions=tuple([ended(draft, version) for version in pipeline.versions]),
    )
    return None


def pipeline_reported(draft: Draft, event: PipelineReported) -> Rejected | None:
    """Record a responder's answer to the request with this sequence."""
    pipeline = draft.pipeline(event.pipeline)
    version: PipelineVersion | None = find(pipeline.versions, event.version) if pipeline is not None else None
    if pipeline is None or version is None:
        return Rejected("unknown_target", f"there is no version {event.version} of pipeline {event.pipeline}")
    progress = progress_of(version, event.role)
    if event.sequence != progress.sequence:
        return Rejected("stale_report", f"the request is number {progress.sequence}")
    known = find(progress.answers, event.responder)
    answer = Answer(event.responder, SUCCEEDED if event.success else ANSWER_FAILED, event.reason)
    if known == answer:
        return None
    if known is None or known.state != PENDING:
        return Rejected("unexpected_report", f"{event.responder} was not asked, or has answered otherwise")
    moved = with_progress(version, event.role, with_answer(progress, answer))
    versions = tuple([moved if other is version else other for other in pipeline.versions])
    draft.pipelines[event.pipeline] = replace(pipeline, versions=versions)
    return None


def _definition(event: PipelineLoadRequested) -> Definition:
    return tuple([_step(step) for step in event.steps]), _output(event.output), event.allow_cycles


def _defines(version: PipelineVersion, definition: Definition) -> bool:
    return (version.steps, version.output, version.allow_cycles) == definition


def _created(draft: Draft, number: int, definition: Definition) -> PipelineVersion:
    steps, output, allow_cycles = definition
    return PipelineVersion(
        version=number,
        steps=steps,
        output=output,
        allow_cycles=allow_cycles,
        engine=start(NOT_REQUESTED, CREATE, responders_of(draft, ENGINE_ROLE)),
        gateway=start(NOT_REQUESTED, CREATE, responders_of(draft, GATEWAY_ROLE)),
        models_ready=False,
        status="",
        reason="",
        status_since_ms=draft.at_ms,
    )


def _step(step: StepFields) -> Step:
    return Step(
        step.name,
        step.inputs,
        step.triggers,
        step.inputs_join,
        step.triggers_join,
        step.join_window_ms,
        _pairs(step.tensor_map),
        step.batch_size,
        step.batch_window_ms,
    )


def _output(output: OutputFields) -> StepOutput:
    return StepOutput(output.steps, output.join, output.join_window_ms, _pairs(output.tensor_map))


def _pairs(texts: dict[str, str]) -> tuple[NameValue, ...]:
    return tuple([NameValue(name, texts[name]) for name in sorted(texts)])
