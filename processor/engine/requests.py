"""Resolving a request to the store: without an answer the identical request is sent again, until there is one."""

from collections.abc import Callable

from processor.engine.errors import OutcomeUnknown, OwnershipLost, StoreUnavailable, WriteDenied
from processor.engine.health import ShardStatus
from processor.engine.parts import Parts
from processor.engine.ports import InFlight
from processor.engine.values import Committed, Conflict

LAST_RESENDS_MAX = 1
"""How often a request is sent again once we are asked to stop: the next owner reads its outcome in the head."""


class Requests:
    """Resolves requests; `resends` counts the repeats of the last one."""

    def __init__(self, parts: Parts, status: ShardStatus, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self._parts = parts
        self._status = status
        self._stopping = stopping
        self._last_resends = 0
        self.resends = 0

    def show_life(self) -> None:
        """Show that the loop is not stuck, between two calls that may each take long."""
        self._status.update(moved_s=self._parts.clock.monotonic_s())

    def resolve(self, in_flight: InFlight) -> Committed | Conflict:
        """Wait for the answer, however long the store is away.

        Raises OwnershipLost once the lease is gone, StoreUnavailable when asked to stop meanwhile.
        """
        limits, clock = self._parts.limits, self._parts.clock
        self.resends = 0
        pause_ms = limits.retry_pause_ms
        while True:
            try:
                answer = in_flight.result()
            except OutcomeUnknown as unknown:
                self._wait(unknown, pause_ms)
                pause_ms = min(2 * pause_ms, limits.retry_pause_max_ms)
                in_flight.again()
                self.resends += 1
                continue
            if self.resends:
                self._status.update(reason="")
            self._status.update(seen_s=clock.monotonic_s())
            return answer

    def _wait(self, why: OutcomeUnknown, pause_ms: int) -> None:
        what = "a commit is denied" if isinstance(why, WriteDenied) else "no answer to a commit"
        self._status.update(reason=f"store: {what} ({why})", moved_s=self._parts.clock.monotonic_s())
        if not self._parts.ownership.alive():
            raise OwnershipLost("the lease ran out while a commit was unanswered")
        if self._stopping():
            self._last_resends += 1
            if self._last_resends > LAST_RESENDS_MAX:
                raise StoreUnavailable(f"asked to stop while a commit was unanswered ({why})")
        self._parts.clock.sleep(pause_ms / 1000)
