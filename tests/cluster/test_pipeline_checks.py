from typing import Any

import pytest

from processor.cluster.pipeline_checks import Reference, parse_reference
from tests.cluster.world import World


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("ant", Reference("ant", "outputs", None)),
        ("ant.outputs", Reference("ant", "outputs", None)),
        ("ant.inputs", Reference("ant", "inputs", None)),
        ("ant.outputs.a.b c", Reference("ant", "outputs", "a.b c")),
        ("ant.inputs.x", Reference("ant", "inputs", "x")),
        ("flow", Reference("flow", "inputs", None)),
        ("flow.inputs.x\ny", Reference("flow", "inputs", "x\ny")),
        ("flow.outputs", None),
        ("flow.outputs.x", None),
        ("", None),
        ("a b", None),
        ("Ant", None),
        ("ant.", None),
        ("ant.output", None),
        ("ant.outputsx", None),
        ("ant\n", None),
        (".inputs", None),
        ("a" * 253, Reference("a" * 253, "outputs", None)),
        ("a" * 254, None),
    ],
)
def test_a_reference_has_a_name_a_side_and_maybe_a_tensor(text: str, reference: Reference | None) -> None:
    assert parse_reference(text, "flow") == reference


def step(name: str, inputs: tuple[str, ...] = (), triggers: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"name": name, "inputs": inputs, "triggers": triggers}


@pytest.mark.parametrize(
    ("steps", "output", "code"),
    [
        ([], [], "no_steps"),
        ([step("ant"), step("ant", ("a b",))], [], "duplicate_step"),
        ([step("flow"), step("ant", ("?",))], [], "step_named_like_pipeline"),
        ([step("ant", ("cat",)), step("bee", ("?",))], [], "bad_reference"),
        ([step("ant")], ["flow.outputs"], "bad_reference"),
        ([step("ant", triggers=("cat",)), step("bee", ("ant",), ("ant.outputs",))], [], "unknown_step"),
        ([step("ant")], ["cat"], "unknown_step"),
        ([step("ant", ("ant",)), step("bee", ("ant",), ("ant.outputs",))], [], "input_is_trigger"),
        ([step("ant", ("flow",), ("flow.inputs",))], [], "input_is_trigger"),
        ([step("ant", ("bee",)), step("bee", (), ("cat",)), step("cat", ("ant.inputs",))], [], "cycle"),
        ([step("ant", ("ant",))], [], "cycle"),
        ([step("ant", ("flow",)), step("bee", ("ant.outputs.x",), ("ant.outputs.y",))], ["bee", "flow"], "applied"),
    ],
)
def test_the_first_objection_in_the_order_of_the_rules_counts(
    steps: list[dict[str, Any]], output: list[str], code: str
) -> None:
    assert World().tell("PipelineLoadRequested", pipeline="flow", steps=steps, output={"steps": output}) == code


def test_a_pipeline_may_ask_for_cycles() -> None:
    steps = [step("ant", ("bee",)), step("bee", ("ant",))]
    assert World().tell("PipelineLoadRequested", pipeline="flow", steps=steps, allow_cycles=True) == "applied"
