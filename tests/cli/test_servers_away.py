"""Every command without any server: within its time, with one exit code, and a sentence that says what to look at."""

import os
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from processor.cli.exits import Exit
from tests.cli.conftest import PROCESSOR
from tests.cli.test_command_line import NOWHERE, WHAT_IT_NEEDS

AT_ONCE = 6
ANSWER_TIMEOUT_S = 120
LOCAL = ("simulate", "state import", "schemas", "acls", "config", "version")
"""What needs no server, or something else before one."""
SETTINGS = ("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", "PROCESSOR_ETCD__ENDPOINTS")
ENDLESS = {"run"}
"""It waits for the servers: that is what it is for."""
ENDING: Mapping[str, list[str]] = {"dev": ["--for", "1"]}


def _run(command: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "PROCESSOR_KAFKA__BOOTSTRAP_SERVERS": NOWHERE,
        "PROCESSOR_ETCD__ENDPOINTS": NOWHERE,
    }
    tokens = [*command.split(), *WHAT_IT_NEEDS[command], *ENDING.get(command, [])]
    return subprocess.run(
        [*PROCESSOR, *tokens],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=ANSWER_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_server_that_is_away_is_exit_three_and_says_so(tmp_path: Path) -> None:
    commands = [command for command in WHAT_IT_NEEDS if command not in ENDLESS and not command.startswith(LOCAL)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(commands, pool.map(lambda command: _run(command, tmp_path), commands), strict=True))
    for command, done in answers.items():
        assert done.returncode == Exit.UNREACHABLE, (command, done.stderr)
        assert "Traceback" not in done.stderr, (command, done.stderr)
        assert NOWHERE in done.stderr, (command, done.stderr)
        assert any(setting in done.stderr for setting in SETTINGS), (command, done.stderr)
        assert command == "doctor" or not done.stdout, (command, done.stdout)
