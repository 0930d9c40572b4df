"""The benchmark's own processes: one that is measured to its end, or one that works while others measure."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from bench.meter import Measured
from bench.place import PROJECT
from bench.worker import Spec

Program = Literal["bench.worker", "bench.raw", "bench.replayer"]
RUN_TIMEOUT_S = 600


class RunFailed(Exception):
    """A measured process failed; the message is what it said."""


def run(program: Program, spec: Spec) -> Measured:
    """Run it to its end; return what it measured."""
    done = subprocess.run(
        _command(program, spec), cwd=PROJECT, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise RunFailed(done.stderr)
    return msgspec.json.decode(done.stdout, type=Measured)


@contextmanager
def running_worker(spec: Spec) -> Iterator[None]:
    """Have a processor work in the background; it is asked to end, and has to end well."""
    process = subprocess.Popen(
        _command("bench.worker", spec), cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        yield
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=RUN_TIMEOUT_S)
    if process.returncode != 0:
        raise RunFailed(errors)


def _command(program: Program, spec: Spec) -> list[str]:
    return [sys.executable, "-m", program, msgspec.json.encode(spec).decode()]
