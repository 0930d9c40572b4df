"""One server process in a folder of its own: pid file, log, ports.

A server works in its folder. So a pid file that outlived its process, or whose number went to another one, is never
believed: a pid counts only while /proc says that its process works in this folder (Linux).
"""

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_INTERVAL_S = 0.05
PROGRESS_INTERVAL_S = 5.0
LOG_TAIL_LINES = 30
# Below the range that Linux hands to outgoing connections: nobody takes such a port by accident.
FREE_PORT_MIN = 20_000
FREE_PORT_MAX = 32_000
FREE_PORT_ATTEMPTS_MAX = 200
PORTS_VARIABLE = "LOCAL_SERVICES_PORTS"
"""LOW-HIGH: give starters that run side by side ports of their own, because a free port is not reserved."""


class ServiceError(Exception):
    """A server cannot be installed, started or stopped; the message is a sentence for the person at the terminal."""


@dataclass(frozen=True)
class ServerProcess:
    """The process that serves out of `folder`; `folder` is absolute and private to it."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """The file that takes both output streams, appended to by every start."""
        return self.folder / "log"

    def pid(self) -> int | None:
        """Return the process id when the process runs, else None."""
        try:
            pid = int(self._pid_file.read_text())
            # Unlike the command line it is there in the midst of an exec, and gone from a process that only waits to
            # be waited for.
            works_in = Path(f"/proc/{pid}/cwd").readlink()
        except (FileNotFoundError, ProcessLookupError, PermissionError, ValueError):
            return None
        return pid if works_in == self.folder else None

    def start(self, command: Sequence[str]) -> None:
        """Start the process in a session of its own, so that it outlives the starter and its terminal."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._pid_file.write_text(f"{process.pid}\n")

    def wait_until(self, is_ready: Callable[[], bool], *, timeout_s: float, say: Callable[[str], None]) -> None:
        """Wait until `is_ready`; raise ServiceError with the log's tail when the process ends or time is up."""
        began = time.monotonic()
        next_word_s = PROGRESS_INTERVAL_S
        while not is_ready():
            waited_s = time.monotonic() - began
            if self.pid() is None:
                raise ServiceError(f"{self.name} ended while it started; its log ends with\n{self.log_tail()}")
            if waited_s > timeout_s:
                raise ServiceError(
                    f"{self.name} does not answer after {timeout_s:.0f} s; its log ends with\n{self.log_tail()}"
                )
            if waited_s > next_word_s:
                say(f"{self.name}: waiting for its first answer ({waited_s:.0f} s)")
                next_word_s += PROGRESS_INTERVAL_S
            time.sleep(POLL_INTERVAL_S)

    def stop(self, *, kill: bool, timeout_s: float) -> bool:
        """End the process (SIGTERM, after `timeout_s` or with `kill` SIGKILL); return False when none ran."""
        pid = self.pid()
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL if kill else signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # a stopped process acts on SIGTERM only when it goes on
        if not self._is_gone_within(timeout_s):
            os.kill(pid, signal.SIGKILL)
            if not self._is_gone_within(timeout_s):
                raise ServiceError(f"{self.name} (pid {pid}) is still there {timeout_s:.0f} s after SIGKILL")
        self._pid_file.unlink(missing_ok=True)
        return True

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def ports(self) -> dict[str, int]:
        """Return the ports of the latest start, empty before the first one."""
        return json.loads(self._ports_file.read_text()) if self._ports_file.exists() else {}

    def keep_ports(self, ports: dict[str, int]) -> None:
        """Record the ports, so that a restart answers where the first start did."""
        self._ports_file.write_text(json.dumps(ports))

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    @property
    def _ports_file(self) -> Path:
        return self.folder / "ports.json"

    def _is_gone_within(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_INTERVAL_S)
        return True


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    low, high = os.environ.get(PORTS_VARIABLE, f"{FREE_PORT_MIN}-{FREE_PORT_MAX}").split("-")
    for _ in range(FREE_PORT_ATTEMPTS_MAX):
        port = random.randint(int(low), int(high))  # noqa: S311 - a port is no secret
        if is_port_free(port):
            return port
    raise ServiceError(f"no free port between {low} and {high}")


def is_port_free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
