"""The same log gives the same digest at every commit: for each hash seed, batch cut and Python version."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.golden.fold import digests
from tests.golden.test_golden import DIRECTORY, RELEASES

CUTS = (1, 7, 64, 1000)
LOGS = {name: DIRECTORY / name / "events.jsonl" for name in RELEASES}
NEEDED = ("fastavro", "immutables", "msgspec", "pydantic")
OTHER_MINORS = [minor for minor in range(11, 16) if minor != sys.version_info.minor]
FOLD = DIRECTORY / "fold.py"
PROJECT = DIRECTORY.parents[1]


def expected(name: str) -> list[list[str]]:
    """Return the digests of every cut, from those after each event."""
    every = list(digests(RELEASES[name].lines, batch_events=1))
    assert len(set(every)) > len(every) // 2, "the story hardly changes anything"
    return [[*every[cut - 1 :: cut], *([every[-1]] if len(every) % cut else [])] for cut in CUTS]


def folded(python: Path | str, name: str, **environment: str) -> list[list[str]]:
    """Return the digests of every cut as another interpreter gives them."""
    told = subprocess.run(
        [python, FOLD, LOGS[name], *map(str, CUTS)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
        check=True,
        capture_output=True,
    )
    return [json.loads(line) for line in told.stdout.splitlines()]


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize("seed", ["1", "4711"])
def test_hash_seed_and_batch_cut_do_not_matter(name: str, seed: str) -> None:
    assert folded(sys.executable, name, PYTHONHASHSEED=seed) == expected(name)


@pytest.mark.slow
@pytest.mark.parametrize("minor", OTHER_MINORS)
def test_the_python_version_does_not_matter(minor: int, tmp_path: Path) -> None:
    python = prepared(interpreter(minor), tmp_path / "venv")
    for name in RELEASES:
        assert folded(python, name) == expected(name)


def interpreter(minor: int) -> Path:
    """Return a Python 3.<minor> of this machine; skip, saying where it was looked for, if there is none."""
    named = shutil.which(f"python3.{minor}")
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*([Path(named)] if named else []), *sorted(kept.glob(f"3.{minor}.*/bin/python"))]
    for python in found:  # the one on the PATH may be a placeholder that only says what to install
        if subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0:
            return python
    pytest.skip(f"no Python 3.{minor} on this machine: neither on the PATH nor in {kept}")


def prepared(python: Path, directory: Path) -> Path:
    """Return a throw-away interpreter that has what folding needs; skip, saying what is missing, if it cannot have."""
    wanted = [f"{package}=={version(package)}" for package in NEEDED]
    inside = directory / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", *wanted]
    for command in ([str(python), "-m", "venv", str(directory)], [str(inside), *install]):
        told = subprocess.run(command, check=False, capture_output=True, text=True)
        if told.returncode:
            pytest.skip(f"{python} cannot have {', '.join(wanted)}: {(told.stderr or told.stdout).strip()[-500:]}")
    return inside
