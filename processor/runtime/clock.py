"""Real time for the engine; a stop event interrupts its pauses."""

import threading
import time
from datetime import UTC, datetime
from math import inf


def now_ms() -> int:
    """Return wall time in ms since the epoch."""
    return time.time_ns() // 1_000_000


def iso_time_ms(text: str) -> int:
    """Return an ISO 8601 time in ms since the epoch, UTC where it names no zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


class SystemClock:
    """Wall and monotonic time; `sleep` returns at once when `stop` is set.

    `end_within_s`: how long what is under way may take from then on, which `left_s` counts down.
    """

    def __init__(self, stop: threading.Event, *, end_within_s: float = inf) -> None:
        self._stop = stop
        self._end_within_s = end_within_s
        self._stop_seen_s: float | None = None

    def now_ms(self) -> int:
        """Return wall time in ms since the epoch."""
        return now_ms()

    def monotonic_s(self) -> float:
        """Return a clock for durations, in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Pause; return early once stopping."""
        self._stop.wait(seconds)

    def left_s(self) -> float:
        """Return how long a call that begins now may take: without end until asked to stop, never below 0.

        Counted from the first question after the stop, which is asked many times a second.
        """
        if not self._stop.is_set():
            return inf
        now_s = time.monotonic()
        if self._stop_seen_s is None:
            self._stop_seen_s = now_s
        return max(0.0, self._stop_seen_s + self._end_within_s - now_s)
