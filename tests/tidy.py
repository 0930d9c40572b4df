"""The project's style as functions: a file in, what breaks a rule out.

A finding is (line, sentence). Patterns are written so that they do not match themselves.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]

FILE_LINES_MAX = 300
TEST_FILE_LINES_MAX = 350
FUNCTION_LINES_MAX = 45
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "base", "manager", "misc"}
# The one place that waits by sleeping, between two looks at a condition.
WAITING = PurePosixPath("tests/waiting.py")

REGISTRIES = re.compile(
    r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|proxy[.]golang|sum[.]golang|repo1?[.]maven|--(extra-)?index[-]url"
)
ADDRESS = re.compile(r"\w+[:]//")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|Users|root|work|farm)/")
OPEN_ENDS = re.compile(r"\bTO[D]O\b|\bFIX[M]E\b|\bX{3}\b|\bNotImplemented[E]rror\b")
SUPPRESSION = re.compile(r"#\s*noqa(?P<codes>: [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*)?(?P<reason>.*)")
# What a handler that catches everything has in it; most files need not be parsed.
BROAD = re.compile(r"except\s*:|BaseException|\bException\b")
# What the pure half may import from outside the standard library; pydantic at its border only.
PURE_IMPORTS = {"msgspec", "immutables", "processor"}
BORDER_MODULE = re.compile(r"event")

Finding = tuple[int, str]


@dataclass(frozen=True)
class Rule:
    """`check` gets the text of each file whose project path `applies` accepts."""

    applies: Callable[[PurePosixPath], bool]
    check: Callable[[str], Iterator[Finding]]


@cache
def tracked_files() -> list[PurePosixPath]:
    """Return the project's files, those that are not committed yet included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [PurePosixPath(name) for name in listed if name and (PROJECT / name).is_file()]


def findings(rule: Rule) -> list[str]:
    """Return what breaks a rule anywhere in the project, as "path:line: sentence"."""
    found = []
    for path in filter(rule.applies, tracked_files()):
        content = (PROJECT / path).read_bytes()
        if b"\0" not in content:  # pictures and the like have no style
            found += [f"{path}:{line}: {what}" for line, what in rule.check(content.decode())]
    return found


def file_is_short(text: str, lines_max: int = FILE_LINES_MAX) -> Iterator[Finding]:
    lines = len(text.splitlines())
    if lines > lines_max:
        yield lines, f"{lines} lines, more than {lines_max}"


def file_of_tests_is_short(text: str) -> Iterator[Finding]:
    return file_is_short(text, TEST_FILE_LINES_MAX)


def functions_are_short(text: str) -> Iterator[Finding]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield node.lineno, f"{node.name} has {lines} lines, more than {FUNCTION_LINES_MAX}"


def names_no_registry(text: str) -> Iterator[Finding]:
    yield from _matches(REGISTRIES, text, "address of a package registry")


def names_no_address(text: str) -> Iterator[Finding]:
    yield from _matches(ADDRESS, text, "address in a lock file")


def names_no_machine(text: str) -> Iterator[Finding]:
    yield from _matches(MACHINE_PATHS, text, "path of somebody's machine")


def has_no_open_ends(text: str) -> Iterator[Finding]:
    yield from _matches(OPEN_ENDS, text, "left open")


def suppressions_have_reasons(text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), start=1):
        match = SUPPRESSION.search(line)
        if match and not (match["codes"] and re.search(r"\w", match["reason"])):
            yield number, "a suppressed rule needs its code and a reason beside it"


def does_not_sleep(text: str) -> Iterator[Finding]:
    for node in ast.walk(ast.parse(text if "sleep" in text else "")):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}:
            yield node.lineno, "sleeps; wait on a condition (tests/waiting.py)"


def catches_narrowly(text: str) -> Iterator[Finding]:
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text if BROAD.search(text) else "")):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and "noqa: BLE001" not in lines[node.lineno - 1]:
            yield node.lineno, "catches everything without saying why (noqa: BLE001 and a reason)"


def schema_says_what_it_means(text: str) -> Iterator[Finding]:
    for path, part in _documented_parts(json.loads(text)):
        if not str(part.get("doc", "")).strip():
            yield 1, f"{path} has no doc"


def imports_are_pure(text: str) -> Iterator[Finding]:
    yield from _imports_outside(text, PURE_IMPORTS)


def border_imports_are_pure(text: str) -> Iterator[Finding]:
    yield from _imports_outside(text, PURE_IMPORTS | {"pydantic"})


def has_plain_name(path: PurePosixPath) -> bool:
    """Tell whether no part of a path is a name that says nothing."""
    return VAGUE_NAMES.isdisjoint(PurePosixPath(part).stem for part in path.parts)


def _matches(pattern: re.Pattern[str], text: str, what: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), start=1):
        if match := pattern.search(line):
            yield number, f"{what}: {match[0]}"


def _is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"} for name in caught)


def _documented_parts(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every record and field inside an Avro schema, with its path."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _documented_parts(branch, path)
    elif isinstance(schema, dict):
        if schema.get("type") == "record":
            path = f"{path}{schema['name']}"
            yield path, schema
            for field in schema["fields"]:
                yield f"{path}.{field['name']}", field
                yield from _documented_parts(field["type"], f"{path}.{field['name']}:")
        else:
            for inner in ("type", "items", "values"):
                yield from _documented_parts(schema.get(inner), path)


def _imports_outside(text: str, allowed: set[str]) -> Iterator[Finding]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            root = name.split(".")[0]
            if root not in sys.stdlib_module_names and root not in allowed:
                yield node.lineno, f"imports {root}"


def _is_python(path: PurePosixPath) -> bool:
    return path.suffix == ".py"


def _is_test(path: PurePosixPath) -> bool:
    return _is_python(path) and path.parts[0] == "tests" and path != WAITING


def _is_schema(path: PurePosixPath) -> bool:
    return path.suffix == ".avsc" and path.parts[0] == "schemas"


def _is_pure(path: PurePosixPath) -> bool:
    return _is_python(path) and path.parts[:2] == ("processor", "cluster")


def _is_border(path: PurePosixPath) -> bool:
    return _is_pure(path) and bool(BORDER_MODULE.match(path.name))


RULES = {
    "files are short": Rule(lambda path: _is_python(path) and path.parts[0] != "tests", file_is_short),
    "files of tests are short": Rule(
        lambda path: _is_python(path) and path.parts[0] == "tests", file_of_tests_is_short
    ),
    "functions are short": Rule(_is_python, functions_are_short),
    "no address of a package registry": Rule(lambda _: True, names_no_registry),
    "lock files hold versions and hashes only": Rule(lambda path: path.suffix == ".lock", names_no_address),
    "no path of somebody's machine": Rule(lambda _: True, names_no_machine),
    "nothing is left open": Rule(lambda path: path.suffix not in {".md", ".js", ".css"}, has_no_open_ends),
    "suppressions have reasons": Rule(_is_python, suppressions_have_reasons),
    "tests do not sleep": Rule(_is_test, does_not_sleep),
    "nothing catches everything": Rule(_is_python, catches_narrowly),
    "schemas say what they mean": Rule(_is_schema, schema_says_what_it_means),
    "the pure half imports little": Rule(lambda path: _is_pure(path) and not _is_border(path), imports_are_pure),
    "the border of the pure half adds pydantic": Rule(_is_border, border_imports_are_pure),
}
