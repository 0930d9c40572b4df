"""Compaction of etcd's history: revisions older than `keep_s` are dropped, and earlier when the database fills up.

etcd keeps every revision until somebody compacts, and stops accepting writes at its quota. So one process an etcd
cluster samples the newest revision every interval, and compacts to the newest sample that is old enough. Above
EARLY_RATIO of the quota only the last interval's history is kept. Who relies on the history that remains:

* readers that page through a snapshot at one revision (`snapshot`); one that is overtaken starts over;
* `history`, which reads past states at their revisions, as far as `keep_s` reaches;
* `suspects`, which looks for changes made without the head.

The head needs no history, so compaction is never needed for correctness, and a denied call is only logged.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from processor.engine.errors import InvalidRequest, StoreDenied, StoreUnavailable
from processor.etcd.client import EtcdClient, Status

LOG = logging.getLogger("processor.etcd")
Call = Literal["status", "compact"]
WITHOUT: dict[Call, str] = {
    "status": "without it commits do not pause before etcd is full, and its size is in no metric",
    "compact": "without it somebody else has to compact (etcd's --auto-compaction-retention, or a user with the role "
    "root): then set PROCESSOR_ETCD__COMPACT=false",
}
"""Calls that need more rights than those on our keys → the consequence when they are denied."""
EARLY_RATIO = 0.5
"""Share of the quota above which only the last interval's history is kept."""


class History:
    """Samples of the newest revision over time, and so the revision to compact to. Pure: times are arguments, in s."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._samples: deque[tuple[float, int]] = deque()

    def note(self, now_s: float, revision: int) -> None:
        """Record the newest revision as of now."""
        self._samples.append((now_s, revision))

    def forget_above(self, revision: int) -> None:
        """Forget revisions that a restored backup does not have."""
        while self._samples and self._samples[-1][1] > revision:
            self._samples.pop()

    def target(self, now_s: float, status: Status) -> int | None:
        """Return the newest revision that is old enough, or None; older samples are forgotten."""
        keep_s = 0.0 if pressure(status) > EARLY_RATIO else self._keep_s
        target = None
        while self._samples and self._samples[0][0] <= now_s - keep_s:
            target = self._samples.popleft()[1]
        return target


def pressure(status: Status) -> float:
    """Return the share of the quota that is in use; 0 when the quota is unknown."""
    return status.size_in_use_bytes / status.quota_bytes if status.quota_bytes else 0.0


class Compactor:
    """A thread that reads etcd's size every `interval_s`, and compacts where that is `enabled` and allowed.

    A denied call is logged once and tried again every interval.
    """

    def __init__(
        self,
        client: EtcdClient,
        *,
        enabled: bool = True,
        interval_s: float = 10.0,
        keep_s: float = 300.0,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._enabled = enabled
        self._interval_s = interval_s
        self._monotonic_s = monotonic_s
        self._history = History(keep_s)
        self._status: Status | None = None
        self._denied: frozenset[Call] = frozenset()
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
        """Return the last status; None before the first answer, and while etcd denies the call."""
        return self._status

    def denied(self) -> frozenset[Call]:
        """Return the calls that etcd denies. Safe from any thread."""
        return self._denied

    def pressure(self) -> float:
        """Return the share of the quota that was in use last time; commits pause above `etcd.quota_pause_ratio`."""
        return pressure(self._status) if self._status else 0.0

    def run_once(self) -> int | None:
        """Read the status, compact if a sample is old enough, and return the revision compacted to.

        Raises StoreUnavailable, InvalidRequest.
        """
        now_s = self._monotonic_s()
        try:
            status = self._status = self._client.status()
        except StoreDenied as error:
            self._status = None
            self._note("status", error)
            return None
        self._note("status", None)
        self._history.forget_above(status.revision)
        target = self._history.target(now_s, status)
        self._history.note(now_s, status.revision)
        return self._compacted(target) if self._enabled and target is not None else None

    def _compacted(self, target: int) -> int | None:
        try:
            self._client.compact(target)
        except StoreDenied as error:
            self._note("compact", error)
            return None
        self._note("compact", None)
        return target

    def _note(self, call: Call, error: StoreDenied | None) -> None:
        """Record whether a call is denied; a change is logged in one line."""
        if (error is not None) == (call in self._denied):
            return
        self._denied ^= {call}
        if error is None:
            LOG.info("etcd_call_allowed_again: %s", call)
        else:
            LOG.warning("etcd_call_denied: %s: %s; %s", call, error, WITHOUT[call])

    def _run(self) -> None:
        told = ""
        while not self._stopped.wait(self._interval_s):
            # The next interval is soon enough: `pressure` pauses commits before etcd is full.
            try:
                self.run_once()
            except StoreUnavailable:
                continue
            except InvalidRequest as error:
                if str(error) != told:
                    LOG.warning("etcd_compaction_failed: %s", error)
                told = str(error)
