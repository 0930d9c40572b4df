"""The state generator needs nothing of the rest of the project: its folder alone reduces every example."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "processor" / "cluster"
FORBIDDEN = {"time", "random", "uuid", "secrets", "os", "socket", "threading", "asyncio", "logging", "datetime"}
OUTSIDE = {"msgspec", "immutables", "pydantic"}
SCRIPT = """
import json, sys
from processor.cluster.simulation import simulate

def statuses(line):
    models = simulate(json.loads(line))["state"]["models"].values()
    return [version["status"] for model in models for version in model["versions"]]

print(json.dumps({
    "file": simulate.__code__.co_filename,
    "modules": sorted(sys.modules),
    "statuses": [statuses(line) for line in sys.stdin],
}))
"""


def imported() -> set[str]:
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    return names


def test_it_imports_the_standard_library_itself_and_three_packages() -> None:
    roots = {name.split(".")[0] for name in imported()}
    assert not roots & FORBIDDEN
    assert roots - OUTSIDE - {"processor"} <= sys.stdlib_module_names
    assert all(name.startswith("processor.cluster") for name in imported() if name.startswith("processor"))


def test_reducers_do_not_know_each_other() -> None:
    for path in (PACKAGE / "reducers").glob("*.py"):
        assert "processor.cluster.reducers" not in path.read_text()


def test_its_folder_alone_reduces_the_examples(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "processor" / "cluster", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "processor" / "__init__.py").write_text("")
    cases = [
        case
        for path in sorted((ROOT / "tests" / "examples").glob("*.json"))
        for case in json.loads(path.read_text())["cases"]
    ]
    lines = [json.dumps([json.dumps(event) for event in case["events"]]) for case in cases]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        input="\n".join(lines),
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    result = json.loads(done.stdout)
    assert Path(result["file"]).is_relative_to(tmp_path)
    assert len(result["statuses"]) == len(cases)
    assert {"Available", "ScheduleFailed", "Terminated"} <= {status for case in result["statuses"] for status in case}
    assert not [name for name in result["modules"] if name.startswith("processor.") and "cluster" not in name]
