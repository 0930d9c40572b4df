"""Change one place of `cluster` or `engine` at a time and see whether a test fails: `make mutants SAMPLE=160`.

The sample is the lowest hashes of package, function and change: a place is drawn again after its module has moved.
Each mutant meets the tests that execute its statement, quickest first. A survivor is equivalent to the original, or
shows a missing test.
"""

import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator
from coverage import CoverageData

from tests.zoo.page import caught

SUITES = ("cluster", "engine", "examples", "golden", "history", "reference", "replay", "scenarios", "simulation")
OPERATORS = """AddNot ReplaceAndWithOr ReplaceOrWithAnd ReplaceTrueWithFalse ReplaceFalseWithTrue ExceptionReplacer
  ReplaceBreakWithContinue ReplaceContinueWithBreak NumberReplacer ZeroIterationForLoop ReplaceUnaryOperator_Delete_Not
  ReplaceComparisonOperator_Eq_NotEq ReplaceComparisonOperator_NotEq_Eq ReplaceComparisonOperator_Is_IsNot
  ReplaceComparisonOperator_IsNot_Is ReplaceComparisonOperator_Lt_LtE ReplaceComparisonOperator_LtE_Lt
  ReplaceComparisonOperator_Gt_GtE ReplaceComparisonOperator_GtE_Gt ReplaceBinaryOperator_Add_Sub
  ReplaceBinaryOperator_Sub_Add ReplaceBinaryOperator_BitAnd_BitOr"""
PYTEST = (sys.executable, "-m", "pytest", "-q", "--no-services", "-mnot slow", "--hypothesis-profile=fixed")
OBSERVED = ("-ppytest_cov", "--cov=processor", "--cov-context=test", "--cov-report=", "--junitxml=report.xml")
STOPPED = ("-x", "-pno:cacheprovider", "-ofaulthandler_timeout=150", "-ofaulthandler_exit_on_timeout=true", "@chosen")
MEMORY_KIB_MAX, START_S = 6 << 20, 30


class RemoveStatement:
    """Leave out a raise, or a statement that is a call or sets an attribute or item."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        target = node.children[0] if node.type == "expr_stmt" else node
        if getattr(node.parent, "type", "") == "simple_stmt" and target.type in {"atom_expr", "raise_stmt"}:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, _: int) -> Any:
        return parso.parse(node.get_first_leaf().prefix + "None")


def mutants(package: str) -> Iterator[tuple[str, Path, str, range, Any, int]]:
    """Yield rank, file, name, lines of the statement, operator and place of every mutant inside a function."""
    for path in Path("processor", package).rglob("*.py"):
        nodes = list(ast_nodes(parso.parse(path.read_text())))
        for operator in (RemoveStatement(), *(get_operator(f"core/{name}")() for name in OPERATORS.split())):
            seen: Counter[str] = Counter()
            for place, node in enumerate(one for one in nodes for _ in operator.mutation_positions(one)):
                above = [node]
                while above[-1].parent:
                    above.append(above[-1].parent)
                scopes = [scope for scope in above if scope.type in {"funcdef", "classdef"}]
                function = ".".join(scope.name.value for scope in reversed(scopes))
                if all(scope.type == "classdef" for scope in scopes) or function.endswith("__init__"):
                    continue
                name = f"{function} {type(operator).__name__} {seen[function]}"
                seen[function] += 1
                first = next(one for one in above if one.parent.type in {"suite", "file_input", "simple_stmt"})
                last = (
                    first if first.type in {"funcdef", "decorated"} else node
                )  # a default: whoever calls the function
                lines = range(first.start_pos[0], last.end_pos[0] + 1)
                yield sha256(f"{package} {name}".encode()).hexdigest(), path, name, lines, operator, place


def judge(tests: list[str], seconds: Mapping[str, float]) -> str:
    """Return "survived", "timeout", or which test failed."""
    for some in filter(None, (tests[:40], tests[40:])):
        Path("chosen").write_text("\n".join(some))
        limit_s = START_S + 2 * int(sum(map(seconds.__getitem__, some)))
        command = f"ulimit -v {MEMORY_KIB_MAX} -t {limit_s}; exec {shlex.join((*PYTEST, *STOPPED))}"
        ended = subprocess.run(("bash", "-c", command), check=False, capture_output=True, text=True)
        if ended.returncode < 0 or "Timeout (" in ended.stderr:
            return "timeout"
        if ended.returncode:
            return next((line for line in ended.stdout.splitlines() if line[:5] in {"FAILE", "ERROR"}), "FAILED")
    return "survived"


def main(size: int) -> None:
    subprocess.run((*PYTEST, *OBSERVED, "-ojunit_family=xunit1", *(f"tests/{name}" for name in SUITES)), check=True)
    seconds = {name: float(test.seconds) for name, test in caught(Path("report.xml").read_text()).items()}
    data = CoverageData()
    data.read()
    for package in ("cluster", "engine"):
        outcomes: Counter[str] = Counter()
        for serial, (_, path, name, lines, operator, place) in enumerate(sorted(mutants(package))[:size]):
            contexts = data.contexts_by_lineno(str(path.resolve()))
            executing = {test.partition("|")[0] for line in lines for test in contexts.get(line, ())} & seconds.keys()
            source, modified_s = path.read_text(), path.stat().st_mtime
            path.write_text(MutationVisitor.mutate_code(source, operator, place))
            os.utime(path, (serial, serial))  # bytecode is cached by size and whole seconds: no two mutants share them
            outcome = judge(sorted(executing, key=lambda test: (seconds[test], test)), seconds)
            path.write_text(source)
            os.utime(path, (modified_s, modified_s))
            outcomes[outcome.split()[0]] += 1
            sys.stdout.write(f"{path}:{lines[0]} {name}: {outcome}\n")
        sys.stdout.write(f"{package}: {dict(outcomes)} of {size}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
