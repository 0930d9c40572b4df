"""Publishes what is committed: strictly by seq, each record once, resuming where the output's tails say.

The outbox in the store is the truth: an entry is written in the transaction of its commit, and trimmed only after every
record of it was acknowledged. The queue here is the part that is not acknowledged yet, so losing it loses nothing.

* One output transaction carries whole commits, ascending by seq: the announcements, dead letters and commit-log record
  of each. Waiting commits are grouped, because a transaction costs the same for one record as for hundreds. Between two
  transactions the announcer leaves a gap (`announcing`): one begun at the heels of another waits much longer.
* Fence: opening the output makes a producer that fences every older one of our name; then the tails are read; then the
  store is asked whether the shard is still ours, in this order. Earlier, a predecessor could still publish and the
  tails would move. Once the answer is yes, any later owner fences us before it reads tails of its own.
* Tails: a transaction that ended unclear may have been committed whole, in part or not at all. So nothing is sent again
  before the output was opened anew. Publishing then resumes in each partition behind the record that stands there
  (`tails.remaining`), and a seq is acknowledged when all three partitions have passed it.
* A fenced producer proves no second owner: a transaction that took too long is fenced, too. The store decides.
* What is committed and not published is bounded (`full`); past the bound the loop pauses.

Who relies on it: `Committer` and `Housekeeping` trim the outbox up to `acknowledged_seq`; consumers rely on the order.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import inf

from processor.engine.announcements import OutputRecord, Role, StoredEntry, Tail
from processor.engine.errors import OutputContended, OwnershipLost, SinkFenced, SinkUnavailable, SinkUnclear
from processor.engine.failpoints import Failpoint, never
from processor.engine.limits import Limits
from processor.engine.ports import Ownership, Sink
from processor.engine.tails import Reached, acknowledged, reached_by, remaining
from processor.engine.values import Identity


class Publisher:
    """Queue of committed entries and the producer that empties it.

    `offer`, `acknowledged_seq`, `waiting` are safe from any thread; `start`, `pump` and `close` belong to one.
    """

    def __init__(
        self,
        sink: Sink,
        ownership: Ownership,
        *,
        identity: Identity,
        limits: Limits,
        failpoint: Failpoint = never,
        monotonic_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._sink = sink
        self._ownership = ownership
        self._identity = identity
        self._limits = limits
        self._failpoint = failpoint
        self._monotonic_s = monotonic_s
        self.called_since_s = inf
        """When the port's call under way began, inf while there is none. May be read from any thread."""
        self._lock = threading.Lock()
        self._offered = threading.Condition(self._lock)
        self._queue: deque[tuple[StoredEntry, int]] = deque()
        self._waiting_bytes = 0
        self._full = False
        self._tails: dict[Role, Tail] = {}
        self._reached = Reached()
        self._epoch = 0
        self._last_seq = -1
        self._acknowledged_seq = -1
        self._producer_open = False

    @property
    def acknowledged_seq(self) -> int:
        """The highest seq whose every record is in the output."""
        return self._acknowledged_seq

    @property
    def waiting(self) -> tuple[int, int]:
        """Commits and bytes that are committed and not published."""
        with self._lock:
            return len(self._queue), self._waiting_bytes

    @property
    def full(self) -> bool:
        """The bound on what is committed and not published was reached: the loop has to wait until half is published.

        For the loop alone. Going on as soon as one is published would pause it again at the next commit.
        """
        commits, size = self.waiting
        share = 0.5 if self._full else 1.0
        limits = self._limits
        self._full = commits >= share * limits.pending_commits_max or size >= share * limits.pending_bytes_max
        return self._full

    def start(self, *, epoch: int, head_seq: int, announced_seq: int, outbox: Iterable[StoredEntry]) -> None:
        """Take over, after `open_output`: what the outbox holds beyond the tails is queued. Raises ShardRefused."""
        entries = tuple(outbox)
        self._epoch = epoch
        self._last_seq = head_seq
        self._reached = reached_by(self._tails, head_seq=head_seq, announced_seq=announced_seq, outbox=entries)
        self._acknowledged_seq = acknowledged(entries, self._reached, self._identity, announced_seq=announced_seq)
        with self._lock:
            self._queue.clear()
            self._waiting_bytes = 0
        self.offer_all(entries)

    def open_output(self, *, epoch: int, moved: Callable[[], None] = lambda: None) -> None:
        """Fence every older producer, read the tails, and only then ask whether the shard is still ours.

        `moved` is called between two calls of ports.
        Raises SinkUnavailable, ShardRefused, OwnershipLost, StoreUnavailable.
        """
        self._producer_open = False
        with self._call():
            self._sink.open()
        moved()
        with self._call():
            self._tails = self._sink.tails()
        moved()
        self._failpoint("in_tail_read")
        with self._call():
            is_ours = self._ownership.verify(epoch)
        if not is_ours:
            raise OwnershipLost("another instance owns the shard")
        self._producer_open = True

    def offer(self, stored: StoredEntry) -> None:
        """Queue what was just committed."""
        size = _size(stored)
        with self._offered:
            self._last_seq = max(self._last_seq, stored.entry.seq)
            self._queue.append((stored, size))
            self._waiting_bytes += size
            self._offered.notify()

    def offer_all(self, outbox: Iterable[StoredEntry]) -> None:
        """Queue every entry that is neither acknowledged nor queued yet (after a reload)."""
        with self._lock:
            known = self._queue[-1][0].entry.seq if self._queue else self._acknowledged_seq
        for stored in outbox:
            if stored.entry.seq > max(known, self._acknowledged_seq):
                self.offer(stored)

    def wait(self, timeout_s: float) -> None:
        """Wait until something is offered, at most this long."""
        with self._offered:
            if not self._queue:
                self._offered.wait(timeout_s)

    def wake(self) -> None:
        """End a `wait` before its time."""
        with self._offered:
            self._offered.notify_all()

    def pump(self) -> bool:
        """Publish one group of waiting commits; False when nothing waits.

        Raises SinkUnavailable (call again later), OwnershipLost, ShardRefused, StoreUnavailable.
        """
        if not self._producer_open:
            self._reopen()
        group, records = self._group()
        if not group:
            return False
        if records:
            # in doubt until it has answered, whatever else ends this call
            self._producer_open = False
            try:
                with self._call():
                    self._sink.publish(records)
            except SinkFenced as fenced:
                # asked before the output is opened anew: an owner must not be fenced in turn
                if not self._ownership.verify(self._epoch):
                    raise OwnershipLost("another instance owns the shard and publishes") from fenced
                raise OutputContended(str(fenced)) from fenced
            except SinkUnclear as unclear:
                # opened anew by the next call, after a pause: no spinning while the output takes nothing
                raise SinkUnavailable(str(unclear)) from unclear
            self._producer_open = True
        self._acknowledge(len(group), group[-1].entry.seq)
        return True

    def close(self) -> None:
        """Throw the producer away."""
        self._producer_open = False
        self._sink.close()

    @contextmanager
    def _call(self) -> Iterator[None]:
        self.called_since_s = self._monotonic_s()
        try:
            yield
        finally:
            self.called_since_s = inf

    def _reopen(self) -> None:
        self.open_output(epoch=self._epoch)
        with self._lock:
            waiting = [stored for stored, _ in self._queue]
        self._reached = reached_by(
            self._tails, head_seq=self._last_seq, announced_seq=self._acknowledged_seq, outbox=waiting
        )

    def _group(self) -> tuple[list[StoredEntry], list[OutputRecord]]:
        with self._lock:
            waiting = [stored for stored, _ in self._queue]
        group: list[StoredEntry] = []
        records: list[OutputRecord] = []
        for stored in waiting:
            more = remaining(stored, self._reached, self._identity)
            if records and len(records) + len(more) > self._limits.publish_group_records_max:
                break
            group.append(stored)
            records += more
        return group, records

    def _acknowledge(self, count: int, seq: int) -> None:
        with self._lock:
            for _ in range(count):
                self._waiting_bytes -= self._queue.popleft()[1]
            self._acknowledged_seq = seq


def _size(stored: StoredEntry) -> int:
    entry = stored.entry
    size = len(entry.commit_record)
    size += sum(len(item.key) + len(item.value) for item in entry.announcements)
    return size + sum(len(item.key or b"") + len(item.value or b"") for item in entry.dead_letters)
