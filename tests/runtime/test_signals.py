"""Stop signals: one, two close behind each other, before anything runs, and while a command waits in a library."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processor.runtime.signals import INTERRUPT_GRACE_S, listen, stopped_by_signals
from tests.waiting import wait_until

PAIRS = 130
GAP_MAX_US = 60
PATIENCE_S = 20.0
PROCESSOR = [sys.executable, "-m", "processor"]
DELAYS_S = (0.0, 0.1, 0.6)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_the_system_gives_to_another_thread_is_heeded_while_the_main_thread_waits(
    number: signal.Signals,
) -> None:
    stop = threading.Event()

    def work() -> None:
        signal.pthread_kill(threading.get_ident(), number)
        stop.wait(PATIENCE_S)

    with stopped_by_signals(stop):
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join()
    assert stop.is_set()


def test_who_was_to_be_told_before_is_told_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals(threading.Event()):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    assert descriptor == -1


def test_two_signals_close_behind_each_other_never_lock_the_process_up() -> None:
    hung = [number for number in range(PAIRS) if not _ends_after_two_signals(number % (GAP_MAX_US + 1))]
    assert hung == []


def _ends_after_two_signals(gap_us: int) -> bool:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _wait_for_a_signal(writing)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    os.kill(child, signal.SIGTERM)
    second_ns = time.perf_counter_ns() + gap_us * 1000
    while time.perf_counter_ns() < second_ns:
        pass
    os.kill(child, signal.SIGTERM)
    return _exit_code(child) == 0


def _wait_for_a_signal(ready: int) -> None:
    """Run in a child: end with 0 once asked to stop, and by the alarm when that hangs."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    stop = threading.Event()
    listen(["run"])
    try:
        with stopped_by_signals(stop):
            os.write(ready, b"r")
            while not stop.is_set():
                stop.wait(PATIENCE_S)  # the lock of the event is taken as often as can be
    finally:
        os._exit(0 if stop.is_set() else 1)


def _exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def black_hole() -> Iterator[tuple[str, socket.socket]]:
    """Give the address of somebody who takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(PATIENCE_S)
        yield f"127.0.0.1:{listening.getsockname()[1]}", listening


def environment(address: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROCESSOR_")}
    return inherited | {
        "PROCESSOR_KAFKA__BOOTSTRAP_SERVERS": address,
        "PROCESSOR_ETCD__ENDPOINTS": address,
        "PROCESSOR_LOG__FORMAT": "json",
    }


def listens(process: "subprocess.Popen[str]") -> bool:
    """Tell whether the first line of the program was executed: a thread hears signals."""
    return len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 1


def started(address: str, *tokens: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*PROCESSOR, *tokens],
        env=environment(address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("delay_s", DELAYS_S)
def test_a_service_that_is_asked_to_end_while_it_starts_ends_well(delay_s: float) -> None:
    with black_hole() as (address, _):
        process = started(address, "run")
        wait_until(lambda: listens(process), what="the first line has run")
        ends_s = time.monotonic() + delay_s
        wait_until(lambda: time.monotonic() >= ends_s, what="the start has gone on")
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, "Traceback" in told) == (0, False), told


@pytest.mark.parametrize(
    "tokens",
    [("events", "tail"), ("status",), ("submit", "ClockTicked", "--data", "{}", "--wait")],
    ids=" ".join,
)
def test_a_command_that_is_interrupted_while_nobody_answers_ends_with_130_and_no_traceback(
    tokens: tuple[str, ...],
) -> None:
    with black_hole() as (address, listening):
        process = started(address, *tokens)
        connected, _ = listening.accept()
        process.send_signal(signal.SIGINT)
        began_s = time.monotonic()
        _, told = process.communicate(timeout=PATIENCE_S)
        took_s = time.monotonic() - began_s
        connected.close()
    assert (process.returncode, "Traceback" in told) == (130, False), told
    assert took_s < 2 * INTERRUPT_GRACE_S


def test_a_command_that_is_interrupted_while_it_starts_ends_with_130_and_no_traceback() -> None:
    with black_hole() as (address, _):
        process = started(address, "status")
        wait_until(lambda: listens(process), what="it listens")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, "Traceback" in told) == (130, False), told
