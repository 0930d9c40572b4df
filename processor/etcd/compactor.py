"""Compaction of etcd's history: old enough revisions are forgotten, sooner when the database fills up."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable

from processor.engine.errors import StoreUnavailable
from processor.etcd.client import EtcdClient, Status

EARLY_RATIO = 0.5
"""Part of the quota in use above which only the last interval's history is kept."""


class History:
    """Which revision was the newest when, and so to which one to compact. Pure: times are arguments, in seconds."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._samples: deque[tuple[float, int]] = deque()

    def note(self, now_s: float, revision: int) -> None:
        """Record the newest revision as of now."""
        self._samples.append((now_s, revision))

    def target(self, now_s: float, status: Status) -> int | None:
        """Return the newest revision that is old enough, or None; older samples are forgotten."""
        keep_s = 0.0 if pressure(status) > EARLY_RATIO else self._keep_s
        target = None
        while self._samples and self._samples[0][0] <= now_s - keep_s:
            target = self._samples.popleft()[1]
        return target


def pressure(status: Status) -> float:
    """Return the part of the quota that is in use; 0 when the quota is unknown."""
    return status.size_in_use_bytes / status.quota_bytes if status.quota_bytes else 0.0


class Compactor:
    """A thread that compacts every `interval_s`; one process an etcd cluster should run it."""

    def __init__(
        self,
        client: EtcdClient,
        *,
        interval_s: float = 10.0,
        keep_s: float = 300.0,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._interval_s = interval_s
        self._monotonic_s = monotonic_s
        self._history = History(keep_s)
        self._status: Status | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; once only."""
        self._thread = threading.Thread(target=self._run, name="etcd-compactor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End and wait for the thread; safe to call twice, and without a start."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def status(self) -> Status | None:
        """Return what etcd said last; None before its first answer. Safe from any thread."""
        return self._status

    def pressure(self) -> float:
        """Return the part of the quota that was in use last time; commits pause above `etcd.quota_pause_ratio`."""
        return pressure(self._status) if self._status else 0.0

    def run_once(self) -> int | None:
        """Look, compact if something is old enough, and return to where. Raises StoreUnavailable."""
        now_s = self._monotonic_s()
        status = self._status = self._client.status()
        target = self._history.target(now_s, status)
        self._history.note(now_s, status.revision)
        if target is not None:
            self._client.compact(target)
        return target

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            # Next time is soon enough: history grows meanwhile, and `pressure` tells.
            with contextlib.suppress(StoreUnavailable):
                self.run_once()
