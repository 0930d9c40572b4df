import json
from pathlib import Path
from typing import Any

import pytest

from tests.reference.simulation import simulate

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CASES = [case for file in sorted(EXAMPLES.glob("*.json")) for case in json.loads(file.read_text())["cases"]]
MISSING = object()


def look_up(document: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(document, list):
            position = int(part)
            if not -len(document) <= position < len(document):
                return MISSING
            document = document[position]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            return MISSING
    return document


def agrees(transition: dict[str, Any], expected: str | dict[str, Any]) -> bool:
    wanted = {"type": expected} if isinstance(expected, str) else expected
    return all(key in transition and transition[key] == value for key, value in wanted.items())


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_reference_meets_the_worked_example(case: dict[str, Any]) -> None:
    document = simulate([json.dumps(event) for event in case["events"]])
    expected = case["expect"]
    for path, value in expected.get("state", {}).items():
        assert look_up(document["state"], path) == value, path
    for path in expected.get("absent", []):
        assert look_up(document["state"], path) is MISSING, path
    assert [rejection["code"] for rejection in document["rejected"]] == expected.get("rejected", [])
    seen = iter([transition for change in document["changes"] for transition in change["transitions"]])
    for wanted in expected.get("transitions", []):
        assert any(agrees(transition, wanted) for transition in seen), wanted
