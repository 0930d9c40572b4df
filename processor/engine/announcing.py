"""When the publisher is pumped: between two steps of the loop, or from a thread of its own."""

import threading
from collections.abc import Callable
from math import inf
from typing import Protocol

from processor.engine.contention import Contention
from processor.engine.errors import OutputContended, Retry
from processor.engine.parts import Parts
from processor.engine.publisher import Publisher

IDLE_WAIT_S = 0.5
JOIN_SLICE_S = 0.1
LAST_TRANSACTION_S = 3.0
"""How long a stopping process waits for the transaction under way; the next owner reads its outcome in the tails."""


class Announcer(Protocol):
    """Keeps the publisher going. While the output is away it waits ever longer, and commits go on."""

    @property
    def trouble(self) -> str:
        """Why nothing is published at present, empty when all is well. Safe from any thread."""
        ...

    @property
    def fencings(self) -> int:
        """How often another writer of our name fenced us while the shard was ours. Safe from any thread."""
        ...

    def start(self) -> None:
        """Begin, once the shard is taken over."""
        ...

    def announce(self) -> None:
        """Publish what waits, or tell how publishing fares. Raises OwnershipLost, ShardRefused."""
        ...

    def stop(self, moved: Callable[[], None] = lambda: None) -> bool:
        """Publish nothing more; safe to call twice, and without a start. `moved` is called while it waits.

        Return False when the process is to end and a transaction is still under way: the publisher is not free.
        """
        ...


class _PatientAnnouncer:
    """What both announcers share: while the output is away they wait ever longer, and say why."""

    def __init__(self, parts: Parts, publisher: Publisher) -> None:
        self._parts = parts
        self._publisher = publisher
        self._patience = _Patience(parts)

    @property
    def trouble(self) -> str:
        """Why nothing is published at present."""
        return self._patience.trouble

    @property
    def fencings(self) -> int:
        """How often another writer of our name fenced us."""
        return self._patience.fencings


class InlineAnnouncer(_PatientAnnouncer):
    """Publishes one group at each call, from the caller's thread."""

    def __init__(self, parts: Parts, publisher: Publisher) -> None:
        super().__init__(parts, publisher)
        self._not_before_s = 0.0

    def start(self) -> None:
        """Do nothing: there is no thread."""

    def announce(self) -> None:
        """Publish one group of what waits. Raises OwnershipLost, ShardRefused."""
        clock = self._parts.clock
        if clock.monotonic_s() < self._not_before_s:
            return
        try:
            self._publisher.pump()
        except Retry as error:
            self._not_before_s = clock.monotonic_s() + self._patience.longer(error)
        else:
            self._patience.renewed()

    def stop(self, moved: Callable[[], None] = lambda: None) -> bool:
        """Return True: no transaction is under way between two calls."""
        del moved
        return True


class BackgroundAnnouncer(_PatientAnnouncer):
    """Publishes from a thread, so that the output's latency overlaps with the next steps.

    Between two transactions it leaves a gap, which groups more commits. A transaction begun at the heels of another may
    be told by the broker that the last one has not ended, and then waits much longer than the gap.
    """

    def __init__(self, parts: Parts, publisher: Publisher) -> None:
        super().__init__(parts, publisher)
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._last_wait_s = LAST_TRANSACTION_S
        self._thread = threading.Thread(target=self._run, name=f"publisher-{parts.identity.shard}", daemon=True)

    def start(self) -> None:
        """Begin the thread."""
        self._thread.start()

    def announce(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self._failure is not None:
            raise self._failure

    def stop(self, moved: Callable[[], None] = lambda: None) -> bool:
        """End the thread after the transaction under way; not waiting for long when the process is to end."""
        self._stopped.set()
        while self._thread.is_alive() and self._last_wait_s > 0:
            self._publisher.wake()
            self._thread.join(JOIN_SLICE_S)
            moved()
            if self._parts.callbacks.left_s() < inf:
                self._last_wait_s = min(self._last_wait_s - JOIN_SLICE_S, self._parts.callbacks.left_s())
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._publisher.wait(IDLE_WAIT_S)
                if not self._stopped.is_set():
                    self._stopped.wait(self._pump())
        except BaseException as error:  # noqa: BLE001 - handed to the loop, which raises it where it is seen
            self._failure = error

    def _pump(self) -> float:
        """Publish one group; return how long to pause, in seconds."""
        try:
            published = self._publisher.pump()
        except Retry as error:
            return self._patience.longer(error)
        self._patience.renewed()
        return self._parts.limits.publish_gap_ms / 1000 if published else 0.0


class _Patience:
    """How long to wait while the output is away, doubled each time, and why it is."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._limits = parts.limits
        self._pause_ms = parts.limits.retry_pause_ms
        self._away = ""
        self._contention = Contention(parts.identity)

    @property
    def trouble(self) -> str:
        """Why nothing is published, or that somebody else keeps publishing under our name."""
        return self._contention.sentence(self._parts.clock.monotonic_s()) or self._away

    @property
    def fencings(self) -> int:
        return self._contention.count

    def longer(self, error: Retry) -> float:
        """Return the pause in seconds."""
        self._away = f"output: {error}"
        pause_ms = self._pause_ms
        self._pause_ms = min(2 * pause_ms, self._limits.retry_pause_max_ms)
        if not isinstance(error, OutputContended):
            return pause_ms / 1000
        now_s = self._parts.clock.monotonic_s()
        known = self._contention.sentence(now_s)
        left_s = self._contention.note(now_s, str(error))
        if not known and (sentence := self._contention.sentence(now_s)):
            self._parts.callbacks.log("output_fenced", shard=self._parts.identity.shard, reason=sentence)
        return max(pause_ms / 1000, left_s)

    def renewed(self) -> None:
        """Start short again."""
        self._away = ""
        self._pause_ms = self._limits.retry_pause_ms
