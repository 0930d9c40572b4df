"""Wakes the state machine when something in it is due: a tick is an event like any other, on the normal lane."""

from typing import Any

from processor.engine.parts import Parts

CHECK_INTERVAL_MS = 100
"""How often the state is asked, at most; the answer is exact to this much."""


class Alarm:
    """Sends one tick once wall time has reached what the state asks for, and none for the interval after it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._not_before_s = 0.0

    def ring(self, state: Any) -> None:
        """Send a tick if one is due in this committed state."""
        parts = self._parts
        now_s = parts.clock.monotonic_s()
        if parts.ticker is None or now_s < self._not_before_s:
            return
        due_ms, now_ms = parts.machine.due_ms(state), parts.clock.now_ms()
        if due_ms is None or now_ms < due_ms:
            self._not_before_s = now_s + CHECK_INTERVAL_MS / 1000
            return
        parts.ticker.tick(now_ms)
        self._not_before_s = now_s + parts.limits.tick_interval_ms / 1000
