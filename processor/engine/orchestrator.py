"""The loop's step: prepare a batch, settle the commit under way, send the next, hand over to the publisher."""

from collections.abc import Callable

import msgspec

from processor.engine.announcements import StoredEntry
from processor.engine.batch import Batch
from processor.engine.breaker import Breaker
from processor.engine.compose import Stamp, UnstampedCommit, compose, largest_record
from processor.engine.crash_counter import CrashCounter
from processor.engine.errors import InvalidRequest, ShardRefused
from processor.engine.health import ShardStatus
from processor.engine.housekeeping import Alarm, Housekeeping, scan_to_end
from processor.engine.intake import Intake
from processor.engine.parts import Parts
from processor.engine.positions import reached
from processor.engine.preparation import Prepared, Preparer
from processor.engine.publisher import Publisher
from processor.engine.recovery import foreign_edit, restore
from processor.engine.reloading import Candidate, mend
from processor.engine.reports import StepReport
from processor.engine.requests import Requests
from processor.engine.sent import Sent, report_of
from processor.engine.settle import settle
from processor.engine.takeover import TakenOver
from processor.engine.tip import Tip
from processor.engine.values import Conflict, HeadView


class Orchestrator:
    """Runs one shard that is owned. Made with the take-over's result; then `step` again and again, `settle` last.

    `step` may raise OwnershipLost, ShardRefused, or Retry at any point: after Retry call it again.
    """

    def __init__(
        self,
        parts: Parts,
        taken: TakenOver,
        *,
        epoch: int,
        publisher: Publisher,
        status: ShardStatus,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._parts = parts
        self._epoch = epoch
        self._publisher = publisher
        self._status = status
        self._intake = Intake(parts.source, limits=parts.limits, clock=parts.clock)
        self._counter = CrashCounter(parts.store, parts.limits)
        self._preparer = Preparer(parts, self._intake)
        self._breaker = Breaker(parts.limits)
        self._requests = Requests(parts, status, stopping=stopping)
        self._commit_ids = 0
        self._conflicts = 0
        self._sent: Sent | None = None
        self._stale: tuple[Candidate, ...] = ()
        self._trim_in_doubt = False  # one was sent whose outcome is not known: nothing else may be sent
        self._house = Housekeeping(parts)
        self._alarm = Alarm(parts)
        self._head, self._revision = taken.head, taken.revision
        self._state, self._images = taken.mending.before, taken.restored.images
        self._tip = Tip(taken.restored.state, taken.positions)
        self._counter.begin(taken.snapshot)
        self._intake.rewind(taken.reading)
        parts.loaded()
        self._show()
        if taken.mending.draft is not None:
            self._dispatch(taken.mending.draft, None)
            self.settle()

    def step(self) -> StepReport | None:
        """Process one batch; return the report of the commit that became known, None when there is none."""
        if self._stale:
            self._reload()
        prepared = self._prepare()
        report = self.settle()
        if self._stale:
            return report
        if prepared is not None:
            self._take_up(prepared)
        if self._carried_too_long():
            self._dispatch(self._tip.carried_draft(self._images), None)
        elif prepared is None and self._sent is None:
            self._keep_house()
        if not self._may_speculate():
            report = self.settle() or report
        self._house.commit_group_offsets(self._head)
        self._alarm.ring(self._state)
        return report

    @property
    def idle(self) -> bool:
        """Nothing is under way, held back or carried."""
        pending = self._sent is not None or self._stale or self._tip.carried.ranges or self._preparer.has_rest
        return not (pending or self._breaker.open)

    @property
    def revision(self) -> int:
        """The head's revision that everything here builds upon."""
        return self._revision

    def wait(self) -> None:
        """Wait for the next record for a moment; not while a commit is under way."""
        if self._breaker.open:
            self._parts.clock.sleep(self._parts.limits.peek_interval_ms / 1000)
        elif self._sent is None and not self._preparer.has_rest:
            self._intake.wait(self._parts.limits.idle_wait_ms)

    def settle(self) -> StepReport | None:
        """Wait for the commit under way, if any, and make its outcome known; refused: the next step reloads."""
        sent = self._sent
        if sent is None:
            return None
        answer = self._requests.resolve(sent.in_flight)
        self._sent = None
        if isinstance(answer, Conflict):
            self._refused(answer, sent)
            return None
        self._parts.failpoint("after_commit")
        return self._committed(sent, answer.revision)

    def note_end(self) -> None:
        """Before handing over: note in the head that only control records follow, where that can be seen in a moment.

        Retention may remove them before the next owner looks.
        """
        if not self.idle or self._trim_in_doubt:
            return
        if scan_to_end(self._parts.source, self._parts.clock) and self._house.scanned_further(self._head):
            self._trim()

    # -- preparing -------------------------------------------------------------------------------------------

    def _prepare(self) -> Prepared | None:
        occupied = self._sent is not None and not self._may_speculate()
        if occupied or not self._breaker.may_try(self._parts.clock.monotonic_s()):
            return None
        one = self._counter.careful or self._breaker.open
        batch, polled_s, decoded_s = self._preparer.take(limit=1 if one else None)
        if batch is not None and batch.undecoded:
            batch = self._admitted(batch)
        if batch is None:
            return None
        if self._breaker.open:
            batch = batch.limited(1)
        return self._preparer.prepare(batch, self._tip, self._images, polled_s=polled_s, decoded_s=decoded_s)

    def _admitted(self, batch: Batch) -> Batch | None:
        if not self._counter.careful:
            return self._preparer.judged(batch, tried_too_often=False)
        self._preparer.put_back(batch)
        admitted = self._counter.admit(batch.records[0], expected_revision=self._revision, epoch=self._epoch)
        if admitted is None:
            self._look()
            return None
        self._preparer.put_back(None)
        return self._preparer.judged(batch, tried_too_often=not admitted)

    def _may_speculate(self) -> bool:
        if not self._parts.speculate or self._counter.careful or self._breaker.open:
            return False
        sent = self._sent
        if sent is None:
            return True
        return sent.draft.kind == "batch" and sent.draft.encoded.bytes <= self._parts.store.capacity().bytes_max

    # -- sending ---------------------------------------------------------------------------------------------

    def _take_up(self, prepared: Prepared) -> None:
        """Send what was prepared; what changed nothing is carried to the next commit.

        Not while the crash counter is in use: a record tried before the one that kills must not be tried again.
        """
        if not prepared.silent or self._counter.stored:
            self._dispatch(prepared.draft, prepared)
            return
        self._tip = self._tip.carrying(prepared.draft, prepared.reduced, now_s=self._parts.clock.monotonic_s())

    def _dispatch(self, draft: UnstampedCommit, prepared: Prepared | None) -> None:
        parts = self._parts
        stamp = self._stamp()
        commit = compose(draft, stamp, identity=parts.identity, encoder=parts.encoder)
        if largest_record(commit) > stamp.record_bytes_max:
            self._preparer.shrink(prepared)
            return
        parts.failpoint("before_commit")
        sent_s = parts.clock.monotonic_s()
        try:
            in_flight = parts.store.send(commit)
        except InvalidRequest:
            self._preparer.shrink(prepared)
            return
        self._sent = Sent(in_flight, commit, draft, prepared, self._tip.carried, sent_s)
        self._tip = Tip(draft.after, draft.positions, encoded=draft.encoded)

    def _stamp(self) -> Stamp:
        return Stamp(
            head=self._head,
            revision=self._revision,
            epoch=self._epoch,
            now_ms=self._parts.clock.now_ms(),
            commit_id=self._next_commit_id(),
            announced_seq=self._publisher.acknowledged_seq,
            clear_attempts=self._counter.to_clear,
            record_bytes_max=self._parts.sink.record_bytes_max(),
            stretches=self._parts.source.scanned(),
        )

    def _next_commit_id(self) -> str:
        self._commit_ids += 1
        return f"{self._epoch}-{self._commit_ids}"

    def _carried_too_long(self) -> bool:
        carried, limits = self._tip.carried, self._parts.limits
        if self._sent is not None or not carried.ranges:
            return False
        age_ms = (self._parts.clock.monotonic_s() - carried.since_s) * 1000
        return age_ms >= limits.idle_commit_interval_ms or carried.weight > limits.ranges_max

    # -- settling --------------------------------------------------------------------------------------------

    def _committed(self, sent: Sent, revision: int) -> StepReport:
        commit = sent.commit
        self._head, self._revision, self._state = commit.head, revision, sent.draft.after
        self._images.accept(sent.draft.encoded)
        self._tip = msgspec.structs.replace(self._tip, encoded=None)
        conflicts, self._conflicts = self._conflicts, 0
        if commit.clear_attempts:
            self._counter.cleared()
        if commit.outbox is not None:
            self._publisher.offer(StoredEntry(commit.outbox, revision))
        now_s = self._parts.clock.monotonic_s()
        self._house.committed(now_s)
        events = sent.events()
        self._breaker.see(events.outcomes(), now_s)
        self._show()
        report = report_of(
            sent,
            events,
            identity=self._parts.identity,
            conflicts=conflicts,
            resends=self._requests.resends,
            settled_s=now_s,
        )
        for middleware in self._parts.middleware:
            middleware(report)
        return report

    def _refused(self, refused: HeadView, sent: Sent | None) -> None:
        """Drop what was built on a state that is no longer the store's; the next step reloads."""
        settle(refused, epoch=self._epoch, committed_seq=self._head.seq)
        self._conflicts += 1
        if self._conflicts > self._parts.limits.conflict_retries_max:
            raise ShardRefused(
                f"given up after {self._conflicts} conflicts in a row: stop whoever else writes the head"
            )
        candidates: tuple[Candidate, ...] = (Candidate(self._state, self._head.digest),)
        if sent is not None:
            candidates += (Candidate(sent.draft.after, sent.commit.head.digest),)
        self._stale = candidates
        self._preparer.forget()

    def _reload(self) -> None:
        parts = self._parts
        snapshot = parts.store.load()
        found = HeadView(snapshot.head, snapshot.head_revision, snapshot.owner_epoch)
        settle(found, epoch=self._epoch, committed_seq=self._head.seq)
        head = snapshot.head
        if head is None:
            raise ShardRefused("the head is gone: restore etcd; processor doctor looks at what is there")
        restored = restore(snapshot, machine=parts.machine, encoder=parts.encoder)
        mending = mend(snapshot, head, restored, self._stale, machine=parts.machine, encoder=parts.encoder)
        if mending is None:
            raise foreign_edit(parts.store, snapshot, found=restored.digest)
        parts.log("reloaded", shard=parts.identity.shard, seq=head.seq, repaired=mending.draft is not None)
        self._head, self._revision = head, snapshot.head_revision
        # until the edit is committed as a repair, the state that has the head's digest is the one before it
        self._state, self._images = mending.before, restored.images
        self._tip = Tip(restored.state, head.positions)
        self._stale = ()
        self._preparer.forget()
        self._publisher.offer_all(snapshot.outbox)
        self._intake.rewind(reached(head))
        parts.loaded()
        self._show()
        if mending.draft is not None:
            self._dispatch(mending.draft, None)
            self.settle()

    # -- between commits -------------------------------------------------------------------------------------

    def _keep_house(self) -> None:
        """Nothing waits: look whether the shard is still ours, trim and materialise."""
        if self._house.look_due:
            self._look()
        if not self._stale and self._house.trim_due:
            self._trim()

    def _look(self) -> None:
        seen = self._parts.store.read_head()
        if seen.owner_epoch != self._epoch or seen.head_revision != self._revision:
            self._refused(seen, None)
        self._house.looked()
        self._status.update(
            seen_s=self._house.seen_s, outbox_commits=self._publisher.waiting[0], revision=self._revision
        )

    def _trim(self) -> None:
        trimming = self._house.trimming(
            self._head,
            revision=self._revision,
            epoch=self._epoch,
            commit_id=self._next_commit_id(),
            acknowledged_seq=self._publisher.acknowledged_seq,
        )
        in_flight = self._parts.store.trim(trimming)
        if in_flight is None:
            return
        self._trim_in_doubt = True
        answer = self._requests.resolve(in_flight)
        self._trim_in_doubt = False
        if isinstance(answer, Conflict):
            self._refused(answer, None)
        else:
            self._parts.failpoint("after_trim")
            self._head, self._revision = trimming.head, answer.revision
            self._house.trimmed(trimming)

    def _show(self) -> None:
        self._status.update(
            state=self._state,
            revision=self._revision,
            phase="owner",
            reason=f"breaker open: {self._breaker.reason()}" if self._breaker.open else "",
            epoch=self._epoch,
            seq=self._head.seq,
            committed_ms=self._head.committed_ms,
            digest=self._head.digest,
            outbox_commits=self._publisher.waiting[0],
            seen_s=self._house.seen_s,
        )
