"""The checks of a pipeline's definition, in the order of the rules; the first failed one rejects it."""

import re
from collections.abc import Callable, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Final

from msgspec import Struct

from processor.cluster.event_fields import NAME_LENGTH_MAX, StepFields
from processor.cluster.events import PipelineLoadRequested
from processor.cluster.rejection import Rejected

_REFERENCE: Final = re.compile(
    r"(?P<name>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)(?:\.(?P<side>inputs|outputs)(?:\.(?P<tensor>.*))?)?", re.DOTALL
)


class Reference(Struct, frozen=True, gc=False):
    """A source of tensors with all its parts filled in; `tensor` None: all tensors."""

    name: str
    side: str
    tensor: str | None


def parse_reference(text: str, pipeline: str) -> Reference | None:
    """Parse `<name>[.inputs|.outputs[.<tensor>]]`; None for another form, or outputs of the pipeline itself."""
    match = _REFERENCE.fullmatch(text)
    if match is None or len(match["name"]) > NAME_LENGTH_MAX:
        return None
    own = match["name"] == pipeline
    side = match["side"] or ("inputs" if own else "outputs")
    return None if own and side == "outputs" else Reference(match["name"], side, match["tensor"])


def refusal(event: PipelineLoadRequested) -> Rejected | None:
    """Return the rejection of the first failed check, each over all steps; None if all pass."""
    for check in CHECKS:
        if rejected := check(event):
            return rejected
    return None


def _no_steps(event: PipelineLoadRequested) -> Rejected | None:
    return None if event.steps else Rejected("no_steps", "a pipeline has at least one step")


def _duplicate_step(event: PipelineLoadRequested) -> Rejected | None:
    seen: set[str] = set()
    for step in event.steps:
        if step.name in seen:
            return Rejected("duplicate_step", f"{step.name} is a step twice")
        seen.add(step.name)
    return None


def _step_named_like_pipeline(event: PipelineLoadRequested) -> Rejected | None:
    if all(step.name != event.pipeline for step in event.steps):
        return None
    return Rejected("step_named_like_pipeline", f"{event.pipeline} is the pipeline and a step")


def _bad_reference(event: PipelineLoadRequested) -> Rejected | None:
    for text in _texts(event):
        if parse_reference(text, event.pipeline) is None:
            return Rejected("bad_reference", f"{text!r} is no <name>[.inputs|.outputs[.<tensor>]]")
    return None


def _unknown_step(event: PipelineLoadRequested) -> Rejected | None:
    known = {event.pipeline, *[step.name for step in event.steps]}
    for reference in _parsed(_texts(event), event.pipeline):
        if reference.name not in known:
            return Rejected("unknown_step", f"{reference.name} is neither a step nor the pipeline")
    return None


def _input_is_trigger(event: PipelineLoadRequested) -> Rejected | None:
    for step in event.steps:
        triggers = set(_parsed(step.triggers, event.pipeline))
        if any(reference in triggers for reference in _parsed(step.inputs, event.pipeline)):
            return Rejected("input_is_trigger", f"{step.name} has the same reference as input and trigger")
    return None


def _cycle(event: PipelineLoadRequested) -> Rejected | None:
    if event.allow_cycles or _is_acyclic({step.name: _sources(step, event.pipeline) for step in event.steps}):
        return None
    return Rejected("cycle", "steps wait for each other")


CHECKS: Final[tuple[Callable[[PipelineLoadRequested], Rejected | None], ...]] = (
    _no_steps,
    _duplicate_step,
    _step_named_like_pipeline,
    _bad_reference,
    _unknown_step,
    _input_is_trigger,
    _cycle,
)


def _texts(event: PipelineLoadRequested) -> Iterator[str]:
    for step in event.steps:
        yield from step.inputs
        yield from step.triggers
    yield from event.output.steps


def _parsed(texts: Iterable[str], pipeline: str) -> Iterator[Reference]:
    for text in texts:
        reference = parse_reference(text, pipeline)
        if reference is not None:
            yield reference


def _sources(step: StepFields, pipeline: str) -> set[str]:
    references = _parsed((*step.inputs, *step.triggers), pipeline)
    return {reference.name for reference in references if reference.name != pipeline}


def _is_acyclic(sources: dict[str, set[str]]) -> bool:
    """Tell whether each step can come after its sources, in linear time."""
    try:
        TopologicalSorter(sources).prepare()
    except CycleError:
        return False
    return True
