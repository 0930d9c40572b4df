"""Whether an owner makes progress: commits what waits, and publishes what is committed. Pure; times are seconds.

An owner that makes none may run on a machine from which a service cannot be used, though its lease is kept. A peer
should try then. A cause that all peers share would move the shard round and round, so an owner's patience doubles each
time it gives the shard up, until it publishes something again.
"""

PATIENCE_MAX_TIMEOUTS = 8


class Stall:
    """Watches one shard of one process. A pause that every peer would make is no stall: `got_round` excuses it."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._patience_s = timeout_s
        self._acknowledged_seq = -1
        self._round_s = 0.0
        self._published_s = 0.0

    def begin(self, now_s: float) -> None:
        """Count the time from now: the shard has become ours."""
        self._round_s = self._published_s = now_s
        self._acknowledged_seq = -1

    def got_round(self, now_s: float) -> None:
        """Note that what waited was committed, that nothing waits, or that commits are paused on purpose."""
        self._round_s = now_s

    def saw_output(self, now_s: float, *, waiting: int, acknowledged_seq: int) -> None:
        """Look at how many commits wait to be published, and which was published last."""
        if self._acknowledged_seq < 0:
            self._acknowledged_seq = acknowledged_seq
        if acknowledged_seq > self._acknowledged_seq:
            self._patience_s = self._timeout_s
            self._acknowledged_seq = acknowledged_seq
            self._published_s = now_s
        elif not waiting:
            self._published_s = now_s

    def reason(self, now_s: float) -> str:
        """Return what has not happened for too long, empty when all is well."""
        if now_s - self._round_s >= self._patience_s:
            return f"no commit was possible for {now_s - self._round_s:.0f} s"
        if now_s - self._published_s >= self._patience_s:
            return f"nothing could be published for {now_s - self._published_s:.0f} s"
        return ""

    def gave_up(self) -> None:
        """Double the patience for the next time."""
        self._patience_s = min(2 * self._patience_s, PATIENCE_MAX_TIMEOUTS * self._timeout_s)
