"""A processor as its operator sees it: a process, its log, its probes."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.waiting import wait_for, wait_until

PROJECT = Path(__file__).resolve().parents[2]
RUN = ("-m", "processor", "run")
ANSWER_TIMEOUT_S = 5.0
END_TIMEOUT_S = 15.0
"""Who is asked to end has ended by then: `shutdown_timeout_s`, and a margin for a busy machine."""
START_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 60.0
LOG_SHOWN = 3000


class ProcessorProcess:
    """One `processor run`; its log is appended to over restarts."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path, program: Sequence[str] = RUN) -> None:
        self.name = name
        self.port = _free_port()
        self._environment = {**environment, "PROCESSOR_HTTP__ADDRESS": f"127.0.0.1:{self.port}"}
        self._log = log
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, for the first time or again; the log goes on."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program], cwd=PROJECT, env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self._running.wait(END_TIMEOUT_S)

    def freeze(self) -> None:
        """Stop it with SIGSTOP: it holds what it has and does nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> int:
        """Ask it to leave with SIGTERM and return its exit code."""
        self._signal(signal.SIGTERM)
        return self._running.wait(END_TIMEOUT_S)

    def ask_to_end(self) -> None:
        """Send it SIGTERM, without waiting."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """End it whatever state it is in; nothing happens when it has ended."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._running.poll()

    def peak_memory_kib(self) -> int:
        """Return the most memory that it has had, in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

    @property
    def log(self) -> str:
        """Everything that it has written."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log's entries with this event name."""
        entries = (_entry(line) for line in self.log.splitlines())
        return [entry for entry in entries if entry.get("event") == event]

    def wait_for_log(self, event: str, *, count: int = 1, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Wait until the event was logged `count` times and return the last entry."""

        def entries() -> list[dict[str, Any]]:
            self._assert_running()
            return self.logged(event)[count - 1 :]

        return wait_for(entries, bool, what=f"{self.name} logs {event} ({self._log})", timeout_s=timeout_s)[0]

    def wait_until_ready(self, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until /readyz says so."""

        def is_ready() -> bool:
            self._assert_running()
            return self.get("/readyz")[0] == HTTPStatus.OK

        wait_until(is_ready, what=f"{self.name} is ready ({self._log})", timeout_s=timeout_s)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a path; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Return what the process says of itself and its shards."""
        code, body = self.get("/api/v1/status")
        assert code == HTTPStatus.OK, body
        said: dict[str, Any] = json.loads(body)
        return said

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started yet"
        return self._process

    def _assert_running(self) -> None:
        assert self.exit_code is None, f"{self.name} ended with {self.exit_code}:\n{self.log[-LOG_SHOWN:]}"

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self._running.pid, number)


def command(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run another command of the processor to its end."""
    return subprocess.run(
        [sys.executable, "-m", "processor", *arguments],
        cwd=PROJECT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
