"""The checks of a pipeline's definition, in the order in which they count."""

import re

from tests.reference.turn import RefusedError
from tests.reference.words import NAME_LENGTH_MAX, Json

REFERENCE = re.compile(r"([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)(?:\.(inputs|outputs)(?:\.(.*))?)?", re.DOTALL)

Reference = tuple[str, str, str | None]


def check_references(pipeline: str, data: Json) -> None:
    steps = data["steps"]
    names = [step["name"] for step in steps]
    if not names:
        raise RefusedError("no_steps")
    if len(set(names)) < len(names):
        raise RefusedError("duplicate_step")
    if pipeline in names:
        raise RefusedError("step_named_like_pipeline")
    sources = [[parse(pipeline, text) for text in [*step["inputs"], *step["triggers"]]] for step in steps]
    output = [parse(pipeline, text) for text in data["output"]["steps"]]
    if any(name not in {*names, pipeline} for given in [*sources, output] for name, _, _ in given):
        raise RefusedError("unknown_step")
    for step in steps:
        inputs = {parse(pipeline, text) for text in step["inputs"]}
        if inputs & {parse(pipeline, text) for text in step["triggers"]}:
            raise RefusedError("input_is_trigger")
    needs = {name: {source for source, _, _ in given} - {pipeline} for name, given in zip(names, sources, strict=True)}
    if not data["allow_cycles"] and has_cycle(needs):
        raise RefusedError("cycle")


def parse(pipeline: str, text: str) -> Reference:
    """Return (name, part, tensor) with the parts filled in."""
    match = REFERENCE.fullmatch(text)
    if match is None or len(match[1]) > NAME_LENGTH_MAX:
        raise RefusedError("bad_reference")
    name, part, tensor = match[1], match[2], match[3]
    if name == pipeline and part == "outputs":
        raise RefusedError("bad_reference")
    return name, part or ("inputs" if name == pipeline else "outputs"), tensor


def has_cycle(needs: dict[str, set[str]]) -> bool:
    """Tell whether steps remain when those that need nothing any more are taken away one after another."""
    left = dict(needs)
    while free := [name for name, sources in left.items() if not sources & set(left)]:
        for name in free:
            del left[name]
    return bool(left)
