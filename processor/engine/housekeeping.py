"""Idle work, done between commits: verify that the shard is ours, trim, report positions to lag tools, send ticks."""

from typing import Any

import msgspec

from processor.engine.committing import Committer
from processor.engine.errors import Retry, ShardRefused
from processor.engine.health import ShardStatus
from processor.engine.inputs import HIGH, NORMAL, Positions
from processor.engine.parts import Parts
from processor.engine.ports import Clock, Source
from processor.engine.positions import reached, scanned_after
from processor.engine.publisher import Publisher
from processor.engine.requests import Requests
from processor.engine.values import Conflict, TrimRequest

SCAN_MAX_S = 1.0
"""An answer that brings no record takes the brokers half a second."""
POLL_MS = 5
TICK_CHECK_INTERVAL_MS = 100
"""How often the state machine is asked when it is due, at most; the answer is exact to this much."""


class Housekeeping:
    """Knows when each of these is due; `seen_s` is when head and owner were last known to be ours."""

    def __init__(
        self, parts: Parts, commits: Committer, *, publisher: Publisher, requests: Requests, status: ShardStatus
    ) -> None:
        self._parts = parts
        self._commits = commits
        self._publisher = publisher
        self._requests = requests
        self._status = status
        self._reported: Positions = {}
        self._reported_s = 0.0
        self._quiet_since_s = self.seen_s = parts.clock.monotonic_s()
        self._trim_in_doubt = False  # one was sent whose outcome is not known: nothing else may be sent

    def note_commit(self) -> None:
        """Note that a commit succeeded: the shard was ours, and it is not quiet."""
        self._quiet_since_s = self.seen_s = self._parts.clock.monotonic_s()

    def idle_work(self) -> None:
        """Nothing waits: verify that the shard is still ours, trim and materialise, each when it is due."""
        limits = self._parts.limits
        if self._passed_ms(self.seen_s) >= limits.peek_interval_ms:
            self.verify()
        if not self._commits.conflicted and self._passed_ms(self._quiet_since_s) >= limits.trim_after_ms:
            self._trim()

    def verify(self) -> None:
        """Read head and owner; a conflict where they are not as we left them."""
        commits = self._commits
        seen = self._parts.store.read_head()
        if seen.owner_epoch != commits.epoch or seen.head_revision != commits.revision:
            commits.note_conflict(seen)
        self.seen_s = self._parts.clock.monotonic_s()
        waiting = self._publisher.waiting[0]
        self._status.update(seen_s=self.seen_s, outbox_commits=waiting, revision=commits.revision)

    def note_end(self) -> None:
        """Before handing over: note in the head that only control records follow, where that can be seen in a moment.

        Retention may remove them before the next owner looks.
        """
        if self._trim_in_doubt or not scan_to_end(self._parts.source, self._parts.clock):
            return
        if self._trim_request().scanned_further:
            self._trim()

    def commit_group_offsets(self) -> None:
        """Report to lag tools, now and then, how far the shard is; nothing reads it back."""
        if self._passed_ms(self._reported_s) < self._parts.limits.tell_interval_ms:
            return
        positions = reached(self._commits.head)
        if positions != self._reported:
            self._reported_s, self._reported = self._parts.clock.monotonic_s(), positions
            self._parts.callbacks.failpoint("before_group_offsets")
            self._parts.source.commit_group_offsets(positions)

    def _trim(self) -> None:
        request = self._trim_request()
        in_flight = self._parts.store.trim(request)
        if in_flight is None:
            return
        self._trim_in_doubt = True
        answer = self._requests.resolve(in_flight)
        self._trim_in_doubt = False
        if isinstance(answer, Conflict):
            self._commits.note_conflict(answer)
            return
        self._parts.callbacks.failpoint("after_trim")
        self._commits.note_trim(request.head, answer.revision)
        if request.scanned_further:
            self.note_commit()  # many aborted transactions must not make us write the head as often

    def _trim_request(self) -> TrimRequest:
        """Return the transaction that trims, materialises, and notes how far the inputs hold no record."""
        commits, head = self._commits, self._commits.head
        scanned = scanned_after(head, head.positions, self._parts.source.scanned())
        announced_seq = max(head.announced_seq, self._publisher.acknowledged_seq)
        commit_id = commits.next_commit_id()
        trimmed = msgspec.structs.replace(head, commit_id=commit_id, announced_seq=announced_seq, scanned=scanned)
        return TrimRequest(commits.revision, trimmed, commits.epoch, scanned_further=scanned != head.scanned)

    def _passed_ms(self, since_s: float) -> float:
        return (self._parts.clock.monotonic_s() - since_s) * 1000


class TickTimer:
    """Wakes the state machine when something in it is due: a tick is an event like any other, on the normal lane.

    One tick is sent once wall time has reached what the state asks for, and none for the interval after it.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._not_before_s = 0.0

    def tick_if_due(self, state: Any) -> None:
        """Send a tick if one is due in this committed state."""
        parts = self._parts
        now_s = parts.clock.monotonic_s()
        if parts.ticker is None or now_s < self._not_before_s:
            return
        due_ms, now_ms = parts.machine.due_ms(state), parts.clock.now_ms()
        if due_ms is None or now_ms < due_ms:
            self._not_before_s = now_s + TICK_CHECK_INTERVAL_MS / 1000
            return
        parts.ticker.tick(now_ms)
        self._not_before_s = now_s + parts.limits.tick_interval_ms / 1000


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
