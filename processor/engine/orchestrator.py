"""The loop's step: prepare a batch, settle the commit under way, send the next, do what is due between commits."""

from collections.abc import Callable

from processor.engine.breaker import Breaker
from processor.engine.committing import Committer
from processor.engine.compose import UnstampedCommit
from processor.engine.crash_counter import CrashCounter
from processor.engine.health import ShardStatus
from processor.engine.housekeeping import Housekeeping, TickTimer
from processor.engine.intake import Batch, Intake
from processor.engine.parts import Parts
from processor.engine.preparation import Prepared, Preparer
from processor.engine.publisher import Publisher
from processor.engine.recovery import Recovered
from processor.engine.reports import StepReport, outcomes_of
from processor.engine.requests import Requests


class Orchestrator:
    """Runs one shard that is owned: `begin` with what the take-over gave, then `step` again and again, `settle` last.

    Each may raise OwnershipLost, ShardRefused, or Retry at any point: after a Retry of `step` call it again.
    """

    def __init__(
        self,
        parts: Parts,
        recovered: Recovered,
        *,
        epoch: int,
        publisher: Publisher,
        status: ShardStatus,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        requests = Requests(parts, status, stopping=stopping)
        self._parts = parts
        self._publisher = publisher
        self._status = status
        self._intake = Intake(parts.source, limits=parts.limits, clock=parts.clock)
        self._preparer = Preparer(parts, self._intake)
        self._counter = CrashCounter(parts.store, parts.limits, recovered.snapshot)
        self._breaker = Breaker(parts.limits)
        self._commits = Committer(parts, recovered, epoch=epoch, publisher=publisher, requests=requests)
        self._housekeeping = Housekeeping(parts, self._commits, publisher=publisher, requests=requests, status=status)
        self._timer = TickTimer(parts)

    def begin(self, recovered: Recovered) -> None:
        """Read on from what the store holds; the commit that has to come first is made here."""
        self._commits.build_upon(recovered)
        self._intake.rewind(recovered.reading)
        self._parts.callbacks.loaded()
        self._show()
        if recovered.first_commit is not None:
            self._send(recovered.first_commit)
            self.settle()

    def step(self) -> StepReport | None:
        """Process one batch; return the report of the commit that became known, None when there is none.

        The batch is reduced while the commit of the one before is under way. That is settled next, and only then is
        this one sent. After a conflict what was prepared is dropped, and the next step begins with a reload. Where
        reducing ahead is not safe, the commit is settled in the step that sent it.
        """
        if self._commits.conflicted:
            self._reload()
        prepared = self._prepare()
        report = self.settle()
        if self._commits.conflicted:
            return report
        if prepared is not None:
            self._take_up(prepared)
        if self._commits.no_ops_due:
            self._send(self._commits.tip.no_ops_commit())
        elif prepared is None and self._commits.sent is None:
            self._housekeeping.idle_work()
        if not self._may_speculate():
            report = self.settle() or report
        self._housekeeping.commit_group_offsets()
        self._timer.tick_if_due(self._commits.state)
        return report

    @property
    def idle(self) -> bool:
        """Nothing is under way, held back or uncommitted."""
        commits = self._commits
        pending = commits.sent is not None or commits.conflicted or commits.tip.uncommitted_no_ops
        return not (pending or self._preparer.has_rest or self._breaker.open)

    @property
    def revision(self) -> int:
        """The head's revision that everything here builds upon."""
        return self._commits.revision

    def wait(self) -> None:
        """Wait for the next record for a moment; not while a commit is under way."""
        if self._breaker.open:
            self._parts.clock.sleep(self._parts.limits.peek_interval_ms / 1000)
        elif self._commits.sent is None and not self._preparer.has_rest:
            self._intake.wait(self._parts.limits.idle_wait_ms)

    def settle(self) -> StepReport | None:
        """Wait for the commit under way, if any, and make its outcome known; after a conflict the next step reloads."""
        report = self._commits.settle()
        if report is None:
            return None
        self._counter.note_commit()
        self._housekeeping.note_commit()
        self._breaker.see(outcomes_of(report.events), self._parts.clock.monotonic_s())
        self._show()
        for middleware in self._parts.callbacks.middleware:
            middleware(report)
        return report

    def note_end(self) -> None:
        """Before handing over: note in the head that only control records follow the last record."""
        if self.idle:
            self._housekeeping.note_end()

    def _prepare(self) -> Prepared | None:
        """Return the next batch, reduced on the tip; None when nothing waits or nothing may be taken now."""
        occupied = self._commits.sent is not None and not self._may_speculate()
        if occupied or not self._breaker.may_try(self._parts.clock.monotonic_s()):
            return None
        one_at_a_time = self._counter.one_at_a_time or self._breaker.open
        batch = self._preparer.take(one_at_a_time=one_at_a_time)
        if batch is not None and not batch.decoded:
            batch = self._admitted(batch)
        if batch is None:
            return None
        if self._breaker.open:
            batch = batch.limited(1)
        return self._preparer.prepare(batch, self._commits.tip, self._commits.images)

    def _admitted(self, batch: Batch) -> Batch | None:
        """Count that a record is tried before it is decoded; one tried too often is put aside. None: a conflict."""
        if not self._counter.one_at_a_time:
            return self._preparer.decoded(batch)
        commits = self._commits
        self._preparer.put_back(batch)
        admitted = self._counter.admit(batch.records[0], expected_revision=commits.revision, epoch=commits.epoch)
        if admitted is None:
            self._housekeeping.verify()
            return None
        self._preparer.put_back(None)
        return self._preparer.decoded(batch) if admitted else self._preparer.put_aside(batch)

    def _may_speculate(self) -> bool:
        """Tell whether the next batch may be reduced before the commit under way is known."""
        if not self._parts.speculate or self._counter.one_at_a_time or self._breaker.open:
            return False
        sent = self._commits.sent
        if sent is None:
            return True
        return sent.unstamped.kind == "batch" and sent.unstamped.encoded.bytes <= self._parts.store.capacity().bytes_max

    def _take_up(self, prepared: Prepared) -> None:
        """Send what was prepared; what changed nothing waits for the next commit.

        Not while the crash counter is in use: a record tried before the one that kills must not be tried again.
        """
        if prepared.reduction.no_op and not self._counter.stored:
            self._commits.hold_no_op(prepared)
        else:
            self._send(prepared.commit, prepared)

    def _send(self, commit: UnstampedCommit, prepared: Prepared | None = None) -> None:
        if not self._commits.send(commit, prepared, clear_attempts=self._counter.to_clear):
            self._preparer.shrink(prepared)

    def _reload(self) -> None:
        """Begin anew from what stands in the store; what the outbox holds and nobody published is queued."""
        recovered = self._commits.reload()
        self._preparer.forget()
        self._publisher.offer_all(recovered.snapshot.outbox)
        self.begin(recovered)

    def _show(self) -> None:
        commits = self._commits
        self._status.update(
            state=commits.state,
            revision=commits.revision,
            phase="owner",
            reason=f"breaker open: {self._breaker.reason()}" if self._breaker.open else "",
            epoch=commits.epoch,
            seq=commits.head.seq,
            committed_ms=commits.head.committed_ms,
            digest=commits.head.digest,
            outbox_commits=self._publisher.waiting[0],
            seen_s=self._housekeeping.seen_s,
        )
