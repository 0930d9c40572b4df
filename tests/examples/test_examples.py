"""Every worked example of the rules, through the code path of `processor simulate` and through the reference."""

import json
from pathlib import Path
from typing import Any

import pytest

from processor.cluster.simulation import simulate
from tests.reference.comparison import Way, differences

CASES = [
    case for path in sorted(Path(__file__).parent.glob("*.json")) for case in json.loads(path.read_text())["cases"]
]
MISSING = "missing"


def at(document: Any, path: str) -> str:
    """Return what stands at a path as JSON text, which tells 1 from true."""
    value = document
    for key in path.split("."):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and -len(value) <= int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return json.dumps(value, sort_keys=True)


def agrees(transition: dict[str, Any], wanted: str | dict[str, Any]) -> bool:
    attributes = {"type": wanted} if isinstance(wanted, str) else wanted
    return all(at(transition, key) == json.dumps(value, sort_keys=True) for key, value in attributes.items())


def test_there_are_examples() -> None:
    assert len(CASES) >= 123


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_an_example_ends_as_it_says(case: dict[str, Any]) -> None:
    lines, expect = [json.dumps(event) for event in case["events"]], case["expect"]
    result = simulate(lines)
    for path, value in expect.get("state", {}).items():
        assert at(result["state"], path) == json.dumps(value, sort_keys=True), path
    for path in expect.get("absent", []):
        assert at(result["state"], path) is MISSING, path
    assert [rejection["code"] for rejection in result["rejected"]] == expect.get("rejected", [])
    remaining = iter([transition for change in result["changes"] for transition in change["transitions"]])
    for wanted in expect.get("transitions", []):
        assert any(agrees(transition, wanted) for transition in remaining), wanted
    assert differences(lines, Way()) == []
