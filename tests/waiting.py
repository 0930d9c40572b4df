"""Waiting for what becomes true in another process or thread."""

import time
from collections.abc import Callable
from typing import TypeVar

LOOK_INTERVAL_S = 0.02
Result = TypeVar("Result")


class StillWaitingError(AssertionError):
    """The condition did not become true in time."""


def wait_until(condition: Callable[[], Result], *, what: str, timeout_s: float = 30.0) -> Result:
    """Return the first true answer of `condition`; fail, naming `what`, when none came within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise StillWaitingError(f"after {timeout_s:.0f} s still waiting until {what}")
        time.sleep(LOOK_INTERVAL_S)
    return answer
