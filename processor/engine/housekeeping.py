"""Idle work, done between commits: verify that the shard is ours, trim, report positions to lag tools, send ticks."""

from typing import Any

import msgspec

from processor.engine.errors import Retry, ShardRefused
from processor.engine.inputs import HIGH, NORMAL, Positions
from processor.engine.parts import Parts
from processor.engine.ports import Clock, Source
from processor.engine.positions import reached, scanned_after
from processor.engine.values import Head, TrimRequest


class Housekeeping:
    """Knows when each of these is due; `seen_s` is when head and owner were last known to be ours."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._told: Positions = {}
        self._told_s = 0.0
        self._quiet_since_s = self.seen_s = parts.clock.monotonic_s()

    def committed(self, now_s: float) -> None:
        """Note that a commit succeeded: the shard was ours, and it is not quiet."""
        self._quiet_since_s = self.seen_s = now_s

    def trimming(self, head: Head, *, revision: int, epoch: int, commit_id: str, acknowledged_seq: int) -> TrimRequest:
        """Return the transaction that trims, materialises, and notes how far the inputs hold no record."""
        scanned = scanned_after(head, head.positions, self._parts.source.scanned())
        announced_seq = max(head.announced_seq, acknowledged_seq)
        trimmed = msgspec.structs.replace(head, commit_id=commit_id, announced_seq=announced_seq, scanned=scanned)
        return TrimRequest(revision, trimmed, epoch, scanned_further=scanned != head.scanned)

    def scanned_further(self, head: Head) -> bool:
        """Tell whether the inputs are known to hold no record beyond what the head says."""
        return scanned_after(head, head.positions, self._parts.source.scanned()) != head.scanned

    def trimmed(self, trimming: TrimRequest) -> None:
        """Note that it succeeded: many aborted transactions must not make us write the head as often."""
        if trimming.scanned_further:
            self.committed(self._parts.clock.monotonic_s())

    def looked(self) -> None:
        """Note that the head and the owner were seen as they should be."""
        self.seen_s = self._parts.clock.monotonic_s()

    @property
    def look_due(self) -> bool:
        """It is long ago that the shard was seen to be ours."""
        return self._passed_ms(self.seen_s) >= self._parts.limits.peek_interval_ms

    @property
    def trim_due(self) -> bool:
        """No commit was made for a while."""
        return self._passed_ms(self._quiet_since_s) >= self._parts.limits.trim_after_ms

    def commit_group_offsets(self, head: Head) -> None:
        """Let lag tools know, now and then, how far the shard is; nothing reads it back."""
        if self._passed_ms(self._told_s) < self._parts.limits.tell_interval_ms:
            return
        positions = reached(head)
        if positions != self._told:
            self._told_s, self._told = self._parts.clock.monotonic_s(), positions
            self._parts.failpoint("before_group_offsets")
            self._parts.source.commit_group_offsets(positions)

    def _passed_ms(self, since_s: float) -> float:
        return (self._parts.clock.monotonic_s() - since_s) * 1000


SCAN_MAX_S = 1.0
"""An answer that brings no record takes the brokers half a second."""


POLL_MS = 5


def scan_to_end(source: Source, clock: Clock) -> bool:
    """Return whether the ends were reached and no record follows those taken; False after `SCAN_MAX_S`.

    What `take` returns here is dropped: nothing may be taken of this assignment afterwards.
    """
    deadline_s = clock.monotonic_s() + SCAN_MAX_S
    try:
        while not source.at_end():
            if source.take(HIGH, 1) or source.take(NORMAL, 1) or clock.monotonic_s() > deadline_s:
                return False
            source.wait(POLL_MS)
    except (Retry, ShardRefused):
        return False
    return True


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
