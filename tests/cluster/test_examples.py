"""Every worked example of the rules, through the code path of `processor simulate`."""

import json
from pathlib import Path
from typing import Any

import pytest

from processor.cluster.simulation import Simulation, simulate

MISSING = object()
CASES = {
    case["id"]: case
    for path in sorted((Path(__file__).parents[1] / "examples").glob("*.json"))
    for case in json.loads(path.read_text())["cases"]
}


def part(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key, MISSING)
    if isinstance(value, list) and -len(value) <= int(key) < len(value):
        return value[int(key)]
    return MISSING


def at(document: Any, path: str) -> Any:
    value = document
    for key in path.split("."):
        value = part(value, key)
    return value


def exact(value: Any) -> str:
    return "missing" if value is MISSING else json.dumps(value, sort_keys=True)


def agrees(transition: dict[str, Any], wanted: str | dict[str, Any]) -> bool:
    attributes = {"type": wanted} if isinstance(wanted, str) else wanted
    return all(key in transition and exact(transition[key]) == exact(value) for key, value in attributes.items())


def contains_in_order(transitions: list[dict[str, Any]], wanted: list[str | dict[str, Any]]) -> bool:
    remaining = iter(transitions)
    return all(any(agrees(transition, one) for transition in remaining) for one in wanted)


def run(case: dict[str, Any]) -> Simulation:
    return simulate([json.dumps(event) for event in case["events"]])


def test_there_are_examples() -> None:
    assert len(CASES) >= 123


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_example_ends_as_it_says(case: dict[str, Any]) -> None:
    result, expect = run(case), case["expect"]
    found = {path: exact(at(result["state"], path)) for path in expect.get("state", {})}
    assert found == {path: exact(value) for path, value in expect.get("state", {}).items()}
    assert [path for path in expect.get("absent", []) if at(result["state"], path) is not MISSING] == []
    assert [rejection["code"] for rejection in result["rejected"]] == expect.get("rejected", [])
    transitions = [transition for change in result["changes"] for transition in change["transitions"]]
    assert contains_in_order(transitions, expect.get("transitions", []))
