"""Servers that a test owns: local processes which it may stop, kill, freeze and start again."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

ServiceName = Literal["kafka", "etcd"]

PROJECT = Path(__file__).resolve().parents[1]
PROGRAM = PROJECT / "docker" / "local" / "services.py"
# Longer than any wait inside: a first installation builds etcd.
COMMAND_TIMEOUT_S = 1800


class LocalServerError(Exception):
    """The program that starts local servers failed; the message is what it said."""


class LocalServer:
    """One Kafka or etcd on a loopback port of its own.

    The data stay in `directory` over restarts, and so does the address. `options` are broker settings ("name=value")
    or etcd flags ("--flag=value"). Port 0: any free one. `environment` is added to what the server inherits.
    """

    def __init__(
        self,
        service: ServiceName,
        directory: Path,
        options: tuple[str, ...] = (),
        *,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._service = service
        self._directory = directory
        self._options = options
        self._port = port
        self._environment = {**os.environ, **(environment or {})}

    def start(self) -> None:
        """Start it, or start it again on the same port, and wait until it answers."""
        options = [f"--{self._service}-option={option}" for option in self._options]
        self._run("up", f"--{self._service}-port={self._port}", *options)

    def stop(self) -> None:
        """End it the orderly way."""
        self._run("down")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._run("down", "--kill")

    def pause(self) -> None:
        """Freeze it with SIGSTOP: connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    @property
    def address(self) -> str:
        """Host and port that clients connect to."""
        return self._status()[2]

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        return int(self._status()[4])

    @property
    def log(self) -> str:
        """What it has logged so far, over all its starts."""
        return (self._directory / self._service / "log").read_text(errors="replace")

    def _status(self) -> list[str]:
        return self._run("status").split()

    def _run(self, command: str, *arguments: str) -> str:
        line = [sys.executable, str(PROGRAM), command, self._service, f"--dir={self._directory}", *arguments]
        done = subprocess.run(
            line, env=self._environment, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise LocalServerError((done.stderr or done.stdout).strip())
        return done.stdout
