"""Pauses a shard that dead-letters too much, instead of draining a topic into the dead letters after a bad deploy."""

from collections import deque
from collections.abc import Collection

from processor.engine.announcements import Outcome
from processor.engine.limits import Limits


class Breaker:
    """Sees the outcomes of committed events only. Open: one record is tried as a batch after each pause."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._window: deque[bool] = deque(maxlen=limits.dead_letters_window)
        self._consecutive = 0
        self._pause_ms = 0
        self._try_at_s = 0.0

    @property
    def open(self) -> bool:
        """The shard is paused."""
        return self._pause_ms > 0

    def may_try(self, now_s: float) -> bool:
        """Return whether a record may be taken now; always while closed."""
        return not self.open or now_s >= self._try_at_s

    def see(self, outcomes: Collection[Outcome], now_s: float) -> None:
        """Note committed outcomes; opens, closes or pauses longer."""
        if not self.open and "dead_lettered" not in outcomes:
            self._window.extend([False] * min(len(outcomes), self._limits.dead_letters_window))
            self._consecutive = 0 if outcomes else self._consecutive
        else:
            self._see_each(outcomes, now_s)
        if not self.open and self._too_many():
            self._pause(self._limits.breaker_pause_ms, now_s)

    def _see_each(self, outcomes: Collection[Outcome], now_s: float) -> None:
        for outcome in outcomes:
            dead = outcome == "dead_lettered"
            self._window.append(dead)
            self._consecutive = self._consecutive + 1 if dead else 0
            if self.open and not dead:
                self._close()
            elif self.open:
                self._pause(min(2 * self._pause_ms, self._limits.breaker_pause_max_ms), now_s)

    def reason(self) -> str:
        """Return why the shard is paused."""
        return f"{self._consecutive} dead letters in a row, {sum(self._window)} of the last {len(self._window)} events"

    def _too_many(self) -> bool:
        full = len(self._window) == self._limits.dead_letters_window
        ratio = sum(self._window) / max(1, len(self._window))
        too_high = full and ratio > self._limits.dead_letters_max_ratio
        return too_high or self._consecutive >= self._limits.dead_letters_max_consecutive

    def _pause(self, pause_ms: int, now_s: float) -> None:
        self._pause_ms = pause_ms
        self._try_at_s = now_s + pause_ms / 1000

    def _close(self) -> None:
        self._pause_ms = 0
        self._window.clear()
