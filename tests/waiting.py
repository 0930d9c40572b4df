"""Waiting for what becomes true in another process or thread.

A test that compares an answer with something waits for that very answer: `wait_equal(lag, 3)`. Waiting for the first
truthy answer and comparing it afterwards judges too early on a busy machine, so `wait_until` returns nothing.
"""

import time
from collections.abc import Callable
from typing import TypeVar

LOOK_INTERVAL_S = 0.02
TIMEOUT_S = 30.0
Value = TypeVar("Value")


class StillWaitingError(AssertionError):
    """The condition did not become true in time."""


def wait_for(
    read: Callable[[], Value], accept: Callable[[Value], object], *, what: str = "", timeout_s: float = TIMEOUT_S
) -> Value:
    """Return the first value that `accept` takes; fail, with `what` and the value read last, after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not accept(value := read()):
        if time.monotonic() > deadline_s:
            until = f" until {what}" if what else ""
            raise StillWaitingError(f"after {timeout_s:.0f} s still waiting{until}; read last: {value!r}")
        time.sleep(LOOK_INTERVAL_S)
    return value


def wait_until(condition: Callable[[], object], *, what: str = "", timeout_s: float = TIMEOUT_S) -> None:
    """Wait until a condition is true."""
    wait_for(condition, bool, what=what, timeout_s=timeout_s)


def wait_equal(read: Callable[[], object], expected: object, *, what: str = "", timeout_s: float = TIMEOUT_S) -> None:
    """Wait until a value equals what is expected."""
    wait_for(read, lambda value: value == expected, what=what or f"it is {expected!r}", timeout_s=timeout_s)
