import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from processor.engine.failpoints import Point, never
from processor.runtime.failpoints import ACTIONS, POINTS, FailpointRaised, Failpoints, Term, armed, parse

PACKAGE = Path(__file__).resolve().parents[2] / "processor"
PASSED = re.compile(r'failpoint\("(\w+)"\)')

DYING = """
import sys
from processor.runtime.failpoints import armed

failpoint = armed("after_commit=2*off->1*kill", lambda event, **fields: print(event, fields, flush=True))
for number in range(5):
    print(number, flush=True)
    failpoint("after_commit")
"""


class Fired:
    """Failpoints whose actions are only noted, with what was announced before each."""

    def __init__(self, text: str) -> None:
        self.seen: list[tuple[str, Any]] = []
        actions = dict.fromkeys(("kill", "stop", "sleep", "raise"), self._note)
        self.failpoint = Failpoints(parse(text), self._announce, actions)

    def _announce(self, event: str, **fields: Any) -> None:
        self.seen.append((event, fields))

    def _note(self, term: Term) -> None:
        self.seen.append((term.action, term.sleep_ms))


def pass_by(text: str, point: Point, times: int) -> list[int]:
    """Return at which of so many times something fired."""
    fired = Fired(text)
    at = []
    for number in range(times):
        before = len(fired.seen)
        fired.failpoint(point)
        if len(fired.seen) > before:
            at.append(number)
    return at


@pytest.mark.parametrize(
    ("text", "fires_at"),
    [
        ("after_commit=kill", [0, 1, 2, 3, 4, 5]),
        ("after_commit=1*kill", [0]),
        ("after_commit=3*off->kill", [3, 4, 5]),
        ("after_commit=3*off->1*kill", [3]),
        ("after_commit=1*stop->2*off->1*sleep(5)->off", [0, 3]),
        ("after_commit=off", []),
        ("before_commit=kill", []),
        ("before_commit=kill; after_commit = 1*off -> 1*raise ;", [1]),
    ],
)
def test_terms_follow_each_other_each_as_often_as_its_count_says(text: str, fires_at: list[int]) -> None:
    assert pass_by(text, "after_commit", 6) == fires_at


def test_a_fault_is_announced_with_its_place_before_it_happens() -> None:
    fired = Fired("after_trim=1*sleep(250)")
    fired.failpoint("after_trim")
    fired.failpoint("after_trim")
    assert fired.seen == [("failpoint", {"point": "after_trim", "action": "sleep"}), ("sleep", 250)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("after_comit=kill", r"no failpoint 'after_comit' \(did you mean after_commit\?\); there are after_take, "),
        ("after_commit", "say what happens there, for example after_commit=3"),
        ("after_commit->kill", "there is no failpoint 'after_commit->kill'"),
        ("after_commit=", "'' is no term; one is off, kill, stop, raise or sleep"),
        ("after_commit=0*kill", r"'0\*kill' is no term"),
        ("after_commit=50%kill", "'50%kill' is no term"),
        ("after_commit=sleep", "'sleep' is no term"),
        ("after_commit=3*off->panic", "'panic' is no term"),
        ("after_commit=kill;after_commit=stop", "after_commit stands there twice"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse(text)


def test_without_failpoints_the_function_that_is_handed_in_does_nothing_at_all() -> None:
    assert armed("", print) is never
    assert armed(" ; ", print) is never


def test_raise_raises_what_no_part_of_the_project_handles() -> None:
    failpoint = armed("in_takeover=raise", lambda _event, **_fields: None)
    with pytest.raises(FailpointRaised):
        failpoint("in_takeover")
    assert FailpointRaised.__mro__[1] is Exception


def test_kill_ends_the_process_at_its_place_when_the_line_is_out() -> None:
    ended = subprocess.run([sys.executable, "-c", DYING], capture_output=True, text=True, check=False)
    assert ended.returncode == -9
    assert ended.stdout.splitlines() == ["0", "1", "2", "failpoint {'point': 'after_commit', 'action': 'kill'}"]


def test_every_action_of_the_grammar_is_there() -> None:
    assert {term.action for name in ACTIONS for (term,) in parse(f"after_take={_written(name)}").values()} == set(
        ACTIONS
    )


def test_every_point_is_passed_somewhere_and_nothing_else_is() -> None:
    passed = {name for path in PACKAGE.rglob("*.py") for name in PASSED.findall(path.read_text())}
    assert passed == set(POINTS)


def _written(action: str) -> str:
    return "sleep(1)" if action == "sleep" else action
