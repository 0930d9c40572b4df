"""The wheel alone, as somebody installs it: what the program needs besides its modules is in it."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from processor.configuration.settings import PROJECT_DIRECTORY
from tests.tidy import tracked_files

pytestmark = pytest.mark.slow

BUILD = "import sys; from setuptools import build_meta; build_meta.{what}(sys.argv[1])"
TIMEOUT_S = 120
Done = subprocess.CompletedProcess[str]


def told(*command: str | Path, cwd: Path, **environment: str) -> Done:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PROCESSOR_", "PYTHON"))}
    return subprocess.run(
        command, cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )


def build(what: str, source: Path, directory: Path) -> Path:
    """Build with this environment's setuptools, and return what came of it."""
    done = told(sys.executable, "-W", "ignore", "-c", BUILD.format(what=what), directory, cwd=source)
    assert done.returncode == 0, done.stderr
    (made,) = directory.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the source distribution, which therefore holds everything, too."""
    place = tmp_path_factory.mktemp("build")
    for name in tracked_files():
        target = place / "project" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT_DIRECTORY / name, target)
    packed, unpacked, wheels = place / "sdist", place / "unpacked", place / "wheel"
    for directory in (packed, wheels):
        directory.mkdir()
    shutil.unpack_archive(build("build_sdist", place / "project", packed), unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return build("build_wheel", source, wheels)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it, and this one's libraries behind it; return its `processor`."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=True)
    done = told(directory / "bin/python", "-m", "pip", "install", "--no-index", "--no-deps", wheel, cwd=directory)
    assert done.returncode == 0, done.stderr
    (site,) = directory.glob("lib/python*/site-packages")
    libraries = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site / "libraries.pth").write_text("\n".join([sysconfig.get_path("purelib"), *libraries]))
    return directory / "bin/processor"


def test_the_program_runs_from_the_wheel_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    where = told(installed.parent / "python", "-c", "import processor; print(processor.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(installed.parents[1])), where
    listed = told(installed, "schemas", "list", "-o", "name", cwd=tmp_path)
    assert (listed.returncode, "processor.events.ClockTicked" in listed.stdout) == (0, True), listed.stderr
    assert told(installed, "schemas", "check", cwd=tmp_path).returncode == 0
    assert told(installed, "version", cwd=tmp_path).stdout.startswith("NAME")
    nobody = {"PROCESSOR_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    # the topics and the numbers for production are read before the brokers are asked
    wanting = told(installed, "topics", "plan", "--patch", "other.yaml", cwd=tmp_path, **nobody)
    assert "other.yaml: No such file" in wanting.stderr
    unanswered = told(installed, "topics", "plan", "--patch", "topics.production.yaml", cwd=tmp_path, **nobody)
    assert (unanswered.returncode, "topics.production.yaml" in unanswered.stderr) == (3, False)
    played = told(installed, "dev", "--demo", "--for", "3", "-o", "json", cwd=tmp_path)
    assert played.returncode == 0, played.stderr
    assert json.loads(played.stdout)["events"] > 0
    assert list(tmp_path.iterdir()) == []


def test_what_stands_in_the_folder_wins_over_what_is_shipped(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "topics.yaml").write_text("kind: none\n")
    done = told(installed, "dev", "--for", "1", cwd=tmp_path)
    assert (done.returncode, "error: topics.yaml: " in done.stderr) == (2, True), done.stderr
