"""docs/clients.md says only what works: its programs and commands are run, in the order of the page."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.play import Play
from tests.integration.processes import PROJECT

PAGE = PROJECT / "docs" / "clients.md"
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCK_TIMEOUT_S = 300.0
NEEDED = {"kcat": "kcat", "go": "Go 1.24 or newer"}
MISSING = [what for program, what in NEEDED.items() if shutil.which(program) is None]


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^):#]+)\)", PAGE.read_text())
    assert targets
    assert [target for target in targets if not (PAGE.parent / target).exists()] == []


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"needs on the PATH: {', '.join(MISSING)}")
def test_the_programs_and_commands_of_the_page_do_what_it_says(play: Play) -> None:
    stage = play.stage
    environment = stage.environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    def run(language: str, text: str) -> str:
        here = text.replace("127.0.0.1:9092", stage.bootstrap).replace("cluster.", f"{stage.name}.")
        program = [sys.executable, "-c"] if language == "python" else ["bash", "-euo", "pipefail", "-c"]
        done = subprocess.run(
            [*program, here],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BLOCK_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{here}\n{done.stderr}"
        return done.stdout

    stage.start(CLOCK__ENABLED="false")
    produced, piped, by_go, read, shown = BLOCK.findall(PAGE.read_text())
    assert run(*produced).splitlines() == [f"{stage.name}.server-events[0]@0", f"{stage.name}.control-events[0]@0"]
    run(*piped)
    play.wait_until_consumed_of(stage.topics["normal"], 4)
    assert [line[:11] for line in run(*by_go).splitlines()] == ['{"number":0', '{"number":1']
    lines = run(*read).splitlines()
    assert lines[0] == "0 processor.changes.ServerChanged server/cpu"
    assert lines[-1] == f"{len(lines) - 1} processor.changes.EventRejected rejected/ghost-1"
    printed = run(*shown)
    assert "rejected/ghost-1 content-type=application/avro" in printed
    assert "dead-letter-code=undecodable" in printed
    assert "nothing that could be read" in printed
    assert '"processor.changes.ServerChanged"' in printed
