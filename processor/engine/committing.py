"""One owner's line of commits: what is known to be committed, and the one transaction that may be under way.

Every transaction compares the revision of `head` that its state was read or written at, and the owner key with our
epoch. What follows holds because nothing else is ever sent to the store's shard:

* One transaction at a time. The next one's compare needs the revision that this one gives.
* Without an answer the identical request is sent again (`Requests.resolve`): at most one copy can win. Compares are
  never built anew for a request that may still be under way; a request that won by an earlier copy is recognised by its
  commit id, in the store's adapter.
* Any answer but "succeeded" is a conflict, and one rule settles it (`check_conflict`). The owner is not us: stop, say
  nothing. The head's seq is below what we committed: the store went back in time, refuse. Else somebody changed the
  head by hand: drop what was built on the old state, reload, and build a new batch. A few conflicts in a row are given
  up.

The committed state (`head`, `revision`, `state`, `images`) moves only in `settle` and at a reload; `tip` is what the
next batch is reduced on (see `preparation`). What is sent may turn out to be the store's state although its answer
never came: both states are kept through a conflict, so that the reload knows the one that the head's digest belongs to.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.engine.announcements import StoredEntry
from processor.engine.compose import Stamp, UnstampedCommit, compose, largest_record
from processor.engine.errors import InvalidRequest, OwnershipLost, ShardRefused
from processor.engine.parts import Parts
from processor.engine.ports import InFlight
from processor.engine.preparation import Prepared, Tip
from processor.engine.publisher import Publisher
from processor.engine.recovery import Recovered, recover
from processor.engine.reports import Events, StepReport
from processor.engine.requests import Requests
from processor.engine.values import Commit, Conflict, Head, HeadView


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A commit under way and what it was made from; `prepared` is None for one that no batch made.

    `no_ops` are the batches whose ranges it takes along. `conflicts` came in a row before it.
    """

    in_flight: InFlight
    commit: Commit
    unstamped: UnstampedCommit
    prepared: Prepared | None
    no_ops: tuple[Prepared, ...]
    conflicts: int
    sent_s: float


class Committer:
    """Sends commits and settles them; `conflicted` afterwards: only a reload may follow."""

    def __init__(
        self, parts: Parts, recovered: Recovered, *, epoch: int, publisher: Publisher, requests: Requests
    ) -> None:
        self._parts = parts
        self._publisher = publisher
        self._requests = requests
        self._commit_ids = 0
        self._conflicts = 0
        self._refused_commits = 0
        self.epoch = epoch
        self.build_upon(recovered)

    def build_upon(self, recovered: Recovered) -> None:
        """Go on from what the store holds; what was built on another state is dropped."""
        self.head, self.revision = recovered.head, recovered.revision
        self.state, self.images = recovered.before, recovered.restored.images
        self.tip = Tip(recovered.restored.state, recovered.positions)
        self.sent: Sent | None = None
        self._states_in_conflict: Mapping[str, Any] = {}

    @property
    def conflicted(self) -> bool:
        """A conflict is not settled yet."""
        return bool(self._states_in_conflict)

    def next_commit_id(self) -> str:
        """Return an id that no other transaction of this epoch has."""
        self._commit_ids += 1
        return f"{self.epoch}-{self._commit_ids}"

    def hold_no_op(self, prepared: Prepared) -> None:
        """Let a batch that changed nothing wait for the next commit."""
        self.tip = self.tip.with_no_op(prepared, now_s=self._parts.clock.monotonic_s())

    @property
    def no_ops_due(self) -> bool:
        """The uncommitted no-ops are old or many enough for a commit of their own, and none is under way."""
        tip, limits = self.tip, self._parts.limits
        if self.sent is not None or not tip.uncommitted_no_ops:
            return False
        age_ms = (self._parts.clock.monotonic_s() - tip.no_ops_since_s) * 1000
        return age_ms >= limits.idle_commit_interval_ms or tip.weight > limits.ranges_max

    def send(self, unstamped: UnstampedCommit, prepared: Prepared | None = None, *, clear_attempts: bool) -> bool:
        """Begin a commit. False, and nothing is sent, where it is too large for the output or the store."""
        parts = self._parts
        stamp = self._stamp(clear_attempts=clear_attempts)
        commit = compose(unstamped, stamp, identity=parts.identity, encoder=parts.encoder)
        if largest_record(commit) > stamp.record_bytes_max:
            return False
        parts.callbacks.failpoint("before_commit")
        sent_s = parts.clock.monotonic_s()
        try:
            in_flight = parts.store.send(commit)
        except InvalidRequest:
            return False
        self.sent = Sent(
            in_flight=in_flight,
            commit=commit,
            unstamped=unstamped,
            prepared=prepared,
            no_ops=self.tip.uncommitted_no_ops,
            conflicts=self._conflicts,
            sent_s=sent_s,
        )
        self.tip = Tip(unstamped.after, unstamped.positions, encoded=unstamped.encoded)
        return True

    def settle(self) -> StepReport | None:
        """Wait for the commit under way, if any; None: there was none, or it met a conflict."""
        sent = self.sent
        if sent is None:
            return None
        answer = self._requests.resolve(sent.in_flight)
        self.sent = None
        if isinstance(answer, Conflict):
            self._refused_commits += 1
            self.note_conflict(answer, sent)
            return None
        self._parts.callbacks.failpoint("after_commit")
        self._accept(sent, answer.revision)
        return self._report(sent)

    def note_trim(self, head: Head, revision: int) -> None:
        """Note the head that a transaction wrote which is no commit."""
        self.head, self.revision = head, revision

    def note_conflict(self, found: HeadView, sent: Sent | None = None) -> None:
        """Drop what was built on a state that is no longer the store's. Raises OwnershipLost, ShardRefused."""
        check_conflict(found, epoch=self.epoch, committed_seq=self.head.seq)
        self._conflicts += 1
        if self._conflicts > self._parts.limits.conflict_retries_max:
            raise ShardRefused(
                f"given up after {self._conflicts} conflicts in a row: stop whoever else writes the head"
            )
        ahead = {sent.commit.head.digest: sent.unstamped.after} if sent is not None else {}
        self._states_in_conflict = {**ahead, self.head.digest: self.state}

    def reload(self) -> Recovered:
        """Read what stands in the store after a conflict. Raises OwnershipLost, ShardRefused, StoreUnavailable."""
        snapshot = self._parts.store.load()
        found = HeadView(snapshot.head, snapshot.head_revision, snapshot.owner_epoch)
        check_conflict(found, epoch=self.epoch, committed_seq=self.head.seq)
        head = snapshot.head
        if head is None:
            raise ShardRefused("the head is gone: restore etcd; processor doctor looks at what is there")
        known_states = self._states_in_conflict
        recovered = recover(self._parts, snapshot, head, positions=head.positions, known_states=known_states)
        repaired = recovered.first_commit is not None
        self._parts.callbacks.log("reloaded", shard=self._parts.identity.shard, seq=head.seq, repaired=repaired)
        return recovered

    def _stamp(self, *, clear_attempts: bool) -> Stamp:
        parts = self._parts
        return Stamp(
            head=self.head,
            revision=self.revision,
            epoch=self.epoch,
            now_ms=parts.clock.now_ms(),
            commit_id=self.next_commit_id(),
            announced_seq=self._publisher.acknowledged_seq,
            clear_attempts=clear_attempts,
            attempts=1 + self._refused_commits,
            record_bytes_max=parts.sink.record_bytes_max(),
            stretches=parts.source.scanned(),
        )

    def _accept(self, sent: Sent, revision: int) -> None:
        commit = sent.commit
        self.head, self.revision, self.state = commit.head, revision, sent.unstamped.after
        self.images.accept(sent.unstamped.encoded)
        self.tip = msgspec.structs.replace(self.tip, encoded=None)
        self._conflicts = self._refused_commits = 0
        if commit.outbox is not None:
            self._publisher.offer(StoredEntry(commit.outbox, revision))

    def _report(self, sent: Sent) -> StepReport:
        prepared, head = sent.prepared, sent.commit.head
        entry = sent.commit.outbox
        own = (prepared,) if prepared else ()
        seconds = msgspec.structs.asdict(prepared.seconds) if prepared else {}
        return StepReport(
            shard=self._parts.identity.shard,
            epoch=head.epoch,
            seq=head.seq,
            kind=sent.unstamped.kind,
            committed_ms=head.committed_ms,
            events=Events([(item.batch, item.reduction) for item in (*sent.no_ops, *own)]),
            changes=tuple([item.change for item in sent.unstamped.encoded.changes]),
            announcement_types=tuple([item.type for item in entry.announcements]) if entry else (),
            high=prepared.batch.high if prepared else 0,
            overtook=prepared.batch.overtook if prepared else 0,
            guard=sent.unstamped.guard,
            conflicts=sent.conflicts,
            resends=self._requests.resends,
            digest=head.digest,
            seconds={**seconds, "commit": self._parts.clock.monotonic_s() - sent.sent_s},
        )


def check_conflict(found: HeadView, *, epoch: int, committed_seq: int) -> None:
    """Return when a reload is the answer: somebody changed the head while we own the shard.

    `committed_seq` is the highest seq that we know to be committed or published, −1 for none.
    Raises OwnershipLost (owner is not ours), ShardRefused (the store went back in time).
    """
    if found.owner_epoch != epoch:
        raise OwnershipLost(f"the owner's epoch is {found.owner_epoch or 'gone'}, ours was {epoch}")
    seq = -1 if found.head is None else found.head.seq
    if seq < committed_seq:
        raise ShardRefused(
            f"the store went back in time: its head is at seq {seq}, seq {committed_seq} was already committed; "
            "was it restored from a backup? Stop every processor; processor doctor explains the choices"
        )
