"""The reader in Go, built and run against what a real processor announced."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.checker.artefacts import Published
from tests.integration.play import Play
from tests.integration.processes import PROJECT

SOURCE = PROJECT / "examples" / "go"
EVENTS = 1500
BUILD_TIMEOUT_S = 600.0
RUN_TIMEOUT_S = 120.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("go") is None, reason="needs Go 1.24 or newer on the PATH"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("go") / "changes"
    environment = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly"}
    subprocess.run(["go", "vet", "./..."], cwd=SOURCE, env=environment, check=True, timeout=BUILD_TIMEOUT_S)
    build = ["go", "build", "-trimpath", "-o", str(built), "."]
    subprocess.run(build, cwd=SOURCE, env=environment, check=True, timeout=BUILD_TIMEOUT_S)
    return built


def told(published: Published) -> dict[str, Any]:
    """Return what the reader should say of a record of the changes topic."""
    said = {
        "number": int(published.headers["processor-number"]),
        "seq": published.seq,
        "offset": published.record.offset,
        "type": published.type.rpartition(".")[2],
        "key": (published.record.key or b"").decode(),
        "op": published.value.get("op"),
        "transitions": [transition["type"] for transition in published.value.get("transitions", ())],
        "code": published.value.get("code"),
    }
    return {name: value for name, value in said.items() if value not in (None, [])}


def test_announcements_are_read_from_go_each_once_in_order_and_a_gap_is_told(play: Play, program: Path) -> None:
    def read(*options: str) -> "subprocess.CompletedProcess[str]":
        topic = play.stage.topics["changes"]
        common = ["-bootstrap", play.stage.bootstrap, "-topic", topic, "-schemas", str(PROJECT / "schemas")]
        return subprocess.run(
            [program, *common, *options], capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
        )

    play.stage.start()
    play.send(play.script(EVENTS))
    changes = play.assert_whole().changes
    expected = [told(published) for published in changes]
    assert {"c", "u", "d"} <= {one.get("op") for one in expected}
    assert any("code" in one for one in expected), "a refused event is among them"

    whole = read("-count", str(len(expected)))
    assert (whole.returncode, whole.stderr) == (0, "")
    assert [json.loads(line) for line in whole.stdout.splitlines()] == expected

    half = len(expected) // 2
    kept = expected[half - 1]
    rest = read("-from", str(kept["offset"] + 1), "-last", str(kept["number"]), "-count", str(len(expected) - half))
    assert [json.loads(line) for line in rest.stdout.splitlines()] == expected[half:]

    again = read("-last", str(kept["number"]), "-count", "1")
    assert again.stderr.splitlines() == [f"repeat: number {number}" for number in range(half)]

    gap = read("-from", str(expected[half]["offset"]), "-last", str(half - 4))
    assert gap.returncode == 1
    assert gap.stderr == f"gap: numbers {half - 3} to {half - 1} are missing\n"
