"""The watchdog of the end, in processes of their own: what it does ends them."""

import json
import subprocess
import sys
import time

from processor.runtime.shutdown import BACKSTOP_S

TIMEOUT_S = 1.0
PATIENCE_S = 30.0
PROGRAM = f"""
import ctypes, json, sys, threading
from processor.runtime.shutdown import ended_in_time

stop = threading.Event()

def log(event, **fields):
    print(json.dumps([event, fields]), flush=True)

def give_up():
    print(json.dumps(["gave_up", {{}}]), flush=True)

with ended_in_time(stop, timeout_s={TIMEOUT_S}, give_up=give_up, log=log):
    stop.set()
    BODY
"""


def run(body: str) -> tuple["subprocess.CompletedProcess[str]", float]:
    began_s = time.monotonic()
    program = PROGRAM.replace("BODY", body)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return done, time.monotonic() - began_s


def test_who_ends_in_time_is_left_alone() -> None:
    done, _ = run("pass")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_who_does_not_end_says_what_it_waits_for_gives_up_and_ends_with_1() -> None:
    body = """from processor.runtime.clock import SystemClock
    worker = threading.Thread(target=SystemClock(threading.Event()).sleep, args=(60,), name="shard-0", daemon=True)
    worker.start()
    worker.join()"""
    done, _ = run(body)
    (event, fields), (gave_up, _) = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, event, gave_up) == (1, "shutdown_timed_out", "gave_up"), done.stderr
    assert fields["timeout_s"] == TIMEOUT_S
    assert fields["waiting_for"] == ["shard-0: processor.runtime.clock.SystemClock.sleep: self._stop.wait(seconds)"]


def test_what_is_given_up_may_hang_too() -> None:
    done, _ = run("give_up = stop\n    threading.Event().wait()")
    assert done.returncode == 1


def test_a_library_that_does_not_let_go_of_the_interpreter_is_ended_by_the_backstop() -> None:
    let_the_watch_begin = "threading.Event().wait(0.3)"
    done, took_s = run(f"{let_the_watch_begin}\n    ctypes.PyDLL(None).sleep(60)")
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert TIMEOUT_S + BACKSTOP_S <= took_s < PATIENCE_S
