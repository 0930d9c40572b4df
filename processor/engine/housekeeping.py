"""What is done between commits: looking whether the shard is still ours, trimming, telling positions to lag tools."""

from processor.engine.parts import Parts
from processor.engine.values import Head


class Housekeeping:
    """Knows when each of these is due; `seen_s` is when head and owner were last known to be ours."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._told_seq, self._told_s = -1, 0.0
        self._quiet_since_s = self.seen_s = parts.clock.monotonic_s()

    def committed(self, now_s: float) -> None:
        """Note that a commit succeeded: the shard was ours, and it is not quiet."""
        self._quiet_since_s = self.seen_s = now_s

    def looked(self) -> None:
        """Note that the head and the owner were seen as they should be."""
        self.seen_s = self._parts.clock.monotonic_s()

    @property
    def look_due(self) -> bool:
        """It is long ago that the shard was seen to be ours."""
        return self._passed_ms(self.seen_s) >= self._parts.limits.peek_interval_ms

    @property
    def tidy_due(self) -> bool:
        """No commit was made for a while."""
        return self._passed_ms(self._quiet_since_s) >= self._parts.limits.tidy_after_ms

    def tell_positions(self, head: Head) -> None:
        """Let lag tools know, now and then, how far the shard is; nothing reads it back."""
        if head.seq != self._told_seq and self._passed_ms(self._told_s) >= self._parts.limits.tell_interval_ms:
            self._told_s, self._told_seq = self._parts.clock.monotonic_s(), head.seq
            self._parts.failpoint("before_group_offsets")
            self._parts.source.commit_group_offsets(head.positions)

    def _passed_ms(self, since_s: float) -> float:
        return (self._parts.clock.monotonic_s() - since_s) * 1000
