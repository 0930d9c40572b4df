from pathlib import PurePosixPath

import pytest

from tests.tidy import (
    FILE_LINES_MAX,
    FUNCTION_LINES_MAX,
    RULES,
    TEST_FILE_LINES_MAX,
    findings,
    has_plain_name,
    tracked_files,
)

FIELD = '{"name": "x", "type": "long"%s}'
RECORD = '{"type": "record", "name": "R", "doc": "A thing.", "fields": [%s]}'

# Rule, what breaks it, what keeps it.
EXAMPLES = [
    ("files are short", "\n" * (FILE_LINES_MAX + 1), "\n" * FILE_LINES_MAX),
    ("files of tests are short", "\n" * (TEST_FILE_LINES_MAX + 1), "\n" * TEST_FILE_LINES_MAX),
    (
        "functions are short",
        "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX,
        "def f():\n" + "    x = 1\n" * (FUNCTION_LINES_MAX - 1),
    ),
    ("no address of a package registry", "https://" + "pypi" + ".org/simple", "pip install x"),
    ("no address of a package registry", "pip install --extra-index" + "-url somewhere", "pip install --index"),
    ("lock files hold versions and hashes only", "x @ https" + "://a/x.whl", "x==1 --hash=sha256:00"),
    ("no path of somebody's machine", "open('/ho" + "me/ada/x')", "open('home/ada/x')"),
    ("no path of somebody's machine", "cd /wo" + "rk/main", "the network/work/main"),
    ("nothing is left open", "# TO" + "DO: later", "# the tracker keeps what is to do"),
    ("nothing is left open", "raise NotImplemented" + "Error", "return NotImplemented"),
    ("suppressions have reasons", "x = 1  # no" + "qa: S311", "x = 1  # no" + "qa: S311 - a port is no secret"),
    ("suppressions have reasons", "x = 1  # no" + "qa", "x = 1"),
    ("tests do not sleep", "import time\ntime.sleep(1)", "event.wait(1)"),
    ("tests do not sleep", "from time import sleep\nsleep(1)", "sleepy(1)"),
    ("nothing catches everything", "try:\n    f()\nexcept:\n    pass", "try:\n    f()\nexcept OSError:\n    pass"),
    (
        "nothing catches everything",
        "try:\n    f()\nexcept (OSError, Exception):\n    pass",
        "try:\n    f()\nexcept Exception:  # no" + "qa: BLE001 - a bug in one event must not stop the others\n    pass",
    ),
    ("schemas say what they mean", RECORD % FIELD % "", RECORD % FIELD % ', "doc": "Why."'),
    (
        "schemas say what they mean",
        RECORD % '{"name": "y", "doc": "Y.", "type": {"type": "array", "items": %s}}' % RECORD % FIELD % "",
        RECORD % '{"name": "y", "doc": "Y.", "type": ["null", "R"]}',
    ),
    ("the pure half imports little", "from grpc import aio", "import msgspec\nfrom processor.cluster import state"),
    ("the pure half imports little", "import pydantic", "import bisect"),
    ("the border of the pure half adds pydantic", "import fastavro", "from pydantic import BaseModel"),
]


@pytest.mark.parametrize("name", RULES)
def test_the_project_keeps(name: str) -> None:
    found = findings(RULES[name])
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("name", "bad", "good"), EXAMPLES, ids=[f"{name}-{bad[:12]!r}" for name, bad, _ in EXAMPLES])
def test_a_rule_finds_what_breaks_it_and_nothing_else(name: str, bad: str, good: str) -> None:
    assert list(RULES[name].check(bad))
    assert not list(RULES[name].check(good))


def test_every_rule_has_an_example() -> None:
    assert {name for name, _, _ in EXAMPLES} == set(RULES)


def test_every_rule_meets_files() -> None:
    paths = tracked_files()
    assert [name for name, rule in RULES.items() if not any(map(rule.applies, paths))] == []


def test_names_say_what_is_inside() -> None:
    assert [str(path) for path in tracked_files() if not has_plain_name(path)] == []


@pytest.mark.parametrize("path", ["processor/utils.py", "processor/core/x.py", "tests/helpers.py"])
def test_a_name_that_says_nothing_is_found(path: str) -> None:
    assert not has_plain_name(PurePosixPath(path))
