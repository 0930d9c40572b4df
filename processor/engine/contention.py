"""Somebody else opens our output again and again, though the shard is ours: another deployment under our name.

The store decides who owns a shard; the output knows only the newest producer of a name. A deployment that has our name
there but another store fences us at each of its transactions, and we fence it; by its own store each is right. One
fencing proves nothing, because an earlier owner that is late does it once. Several do. Then each side leaves the output
to the other for a while before it opens it again: both go on, slowly, until a person renames one of them.
"""

from processor.engine.values import Identity

FENCINGS_MIN = 3
"""This many within the window are reported; fewer may come from earlier owners that were late."""
WINDOW_S = 600.0
PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 30.0
CALM_S = 2 * PAUSE_MAX_S
"""After this long without a fencing the other one has stopped: it would open again after the longest pause."""


class Contention:
    """Counts fencings. `note` belongs to one thread, the rest may be asked by any; times are monotonic."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._times_s: tuple[float, ...] = ()
        self._cause = ""
        self.count = 0

    def note(self, now_s: float, cause: str) -> float:
        """Count one; return how long to leave the output to the other, in seconds."""
        self.count += 1
        self._times_s = (*(time_s for time_s in self._times_s if now_s - time_s < WINDOW_S), now_s)
        self._cause = cause
        surplus = len(self._times_s) - FENCINGS_MIN
        return 0.0 if surplus < 0 else float(min(PAUSE_FIRST_S * 2 ** min(surplus, 10), PAUSE_MAX_S))

    def sentence(self, now_s: float) -> str:
        """Return what is known of the other one while it is there, else nothing."""
        times_s = self._times_s
        if len(times_s) < FENCINGS_MIN or now_s - times_s[-1] > CALM_S:
            return ""
        app, shard = self._identity.app, self._identity.shard
        return (
            f"output: another producer took transactional.id {app}-{shard} over {len(times_s)} times within "
            f"{now_s - times_s[0]:.0f} s, though this process owns shard {shard} in its etcd: PROCESSOR_APP {app} is "
            "probably shared with another deployment (of another etcd or prefix) on this Kafka. Give one of them "
            "another PROCESSOR_APP; "
            f"kafka-transactions.sh describe --transactional-id {app}-{shard} shows to which topics it writes. "
            f"The last time: {self._cause}"
        )
