"""Every command's stdout and stderr may be full, closed, without a reader, or a terminal that knows ASCII only."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from processor.cli.exits import Exit
from processor.cli.streams import ERRORS
from tests.integration.servers import free_port
from tests.waiting import wait_until

PROCESSOR = f"{sys.executable} -m processor"
EVENT = {
    "type": "ModelLoadRequested",
    "at_ms": 1,
    "data": {"model": "iris", "generation": 1, "spec": {"uri": "s3://ä→😀"}},
}
ASCII = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
TIMEOUT_S = 60
Done = subprocess.CompletedProcess[bytes]


def shell(line: str, **environment: str) -> Done:
    """Run a line of bash in which `processor` is the program."""
    script = f'processor() {{ {PROCESSOR} "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, check=False, timeout=TIMEOUT_S, env=os.environ | environment
    )


@pytest.mark.parametrize(
    ("command", "to", "why"),
    [
        ("version", ">/dev/full", "No space left on device"),
        ("config show -o name", ">&-", "it is closed"),
        ("--help", ">/dev/full", "No space left on device"),
        ("--help", ">&-", "it is closed"),
    ],
)
def test_a_stdout_that_takes_nothing_is_one_line_and_exit_1(command: str, to: str, why: str) -> None:
    done = shell(f"processor {command} {to}")
    assert done.returncode == Exit.DIFFERS
    assert done.stderr.decode().splitlines() == [f"error: cannot write to stdout: {why}"]


def test_a_reader_that_has_enough_is_no_failure() -> None:
    done = shell("processor config reference | head -1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stdout, done.stderr) == (Exit.OK, b"# Configuration\n", b"")


@pytest.mark.parametrize("to", ["2>/dev/full", "2>&-"])
def test_a_stderr_that_takes_nothing_changes_nothing_else(to: str) -> None:
    done = shell(f"processor schemas check -o json {to}")
    assert (done.returncode, json.loads(done.stdout)) == (Exit.OK, [])
    assert shell(f"processor submit Nope --data nonsense {to} >&-").returncode == Exit.INVALID_DATA


@pytest.mark.parametrize("environment", ASCII, ids=["ascii", "C"])
def test_a_terminal_that_knows_ascii_only_gets_signs_and_escapes(environment: dict[str, str], tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(EVENT, ensure_ascii=False))
    done = shell(f"processor simulate {events}", **environment)
    assert done.returncode == Exit.OK, done.stderr
    assert b'"uri": "s3://\\u00e4\\u2192\\ud83d\\ude00"' in done.stdout
    assert json.loads(done.stdout.decode("ascii"))["changes"]
    asked = shell("processor state get modelé", **environment)
    assert asked.returncode == Exit.USAGE
    assert "there is no kind 'model\\u00e9'" in asked.stderr.decode("ascii")


def test_a_whole_play_fits_a_terminal_that_knows_ascii_only() -> None:
    done = shell("processor dev --demo --for 2", PYTHONIOENCODING="ascii")
    assert (done.returncode, b"Traceback" in done.stderr) == (Exit.OK, False), done.stderr
    assert "->" in done.stdout.decode("ascii")


def test_an_argument_that_is_no_utf8_is_named() -> None:
    done = shell("processor state get $'caf\\xe9'")
    assert (done.returncode, done.stderr) == (Exit.USAGE, b"error: argument 3 is not UTF-8: byte 0xE9 at offset 3\n")


@pytest.mark.parametrize("command", ["submit -f -", "simulate -"])
def test_a_closed_stdin_is_told(command: str) -> None:
    done = shell(f"processor {command} <&-")
    assert (done.returncode, done.stderr) == (Exit.USAGE, b"error: cannot read stdin: it is closed\n")


def test_a_service_whose_log_has_no_reader_works_on_and_ends_well() -> None:
    read, write = os.pipe()
    os.close(read)
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen([*PROCESSOR.split(), "run", "--embedded", "--http", address], stdout=write, stderr=write)
    os.close(write)

    def ready() -> bool:
        try:
            with urlopen(f"http://{address}/api/v1/status", timeout=5) as answer:
                return b'"owner"' in answer.read()
        except URLError:
            assert process.poll() is None, "the process has ended"
            return False

    wait_until(ready, what="the shard is owned by a process that nobody reads")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT_S) == Exit.OK


def test_what_an_encoding_lacks_becomes_ascii() -> None:
    assert "a → b … ä 😀 \udce9".encode("ascii", ERRORS) == rb"a -> b ... \u00e4 \ud83d\ude00 \udce9"
    assert "ä→".encode("latin-1", ERRORS) == b"\xe4->"
    assert "→\ud800".encode("utf-8", ERRORS) == "→\\ud800".encode()
