"""Real time for the engine, and the one way in which everything is asked to stop."""

import threading
import time


class SystemClock:
    """Wall and monotonic time; `sleep` returns at once when `stop` is set."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def now_ms(self) -> int:
        """Return wall time in ms since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return a clock for durations, in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Pause, or return early when asked to stop."""
        self._stop.wait(seconds)
