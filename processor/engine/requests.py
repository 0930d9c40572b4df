"""One request to the store, seen through to its answer: what is unknown is sent again, identical, until it is known."""

from processor.engine.errors import OutcomeUnknown, OwnershipLost
from processor.engine.health import Board
from processor.engine.parts import Parts
from processor.engine.ports import InFlight
from processor.engine.values import Committed, Refused


class Requests:
    """Resolves requests; `resends` counts the repeats of the last one."""

    def __init__(self, parts: Parts, board: Board) -> None:
        self._parts = parts
        self._board = board
        self.resends = 0

    def resolve(self, in_flight: InFlight) -> Committed | Refused:
        """Wait for the answer, however long the store is away. Raises OwnershipLost once the lease is gone."""
        limits, clock = self._parts.limits, self._parts.clock
        self.resends = 0
        pause_ms = limits.retry_pause_ms
        while True:
            try:
                answer = in_flight.result()
            except OutcomeUnknown as unknown:
                self._wait(str(unknown), pause_ms)
                pause_ms = min(2 * pause_ms, limits.retry_pause_max_ms)
                in_flight.again()
                self.resends += 1
                continue
            if self.resends:
                self._board.put(reason="")
            self._board.put(seen_s=clock.monotonic_s())
            return answer

    def _wait(self, why: str, pause_ms: int) -> None:
        reason = f"store: no answer to a commit ({why})"
        if self._board.health.reason != reason:
            self._parts.log("commit_unanswered", shard=self._parts.identity.shard, reason=why)
        self._board.put(reason=reason)
        if not self._parts.ownership.alive():
            raise OwnershipLost("the lease ran out while a commit was unanswered")
        self._parts.clock.sleep(pause_ms / 1000)
