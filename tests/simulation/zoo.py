"""Processors that are wrong in one respect each. A simulation that does not find them proves nothing."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from processor.engine.announcements import Role, StoredEntry, Tail
from processor.engine.inputs import Positions
from processor.engine.intake import Batch
from processor.engine.orchestrator import Orchestrator
from processor.engine.outputs import tail_of
from processor.engine.preparation import Prepared
from processor.engine.publisher import Publisher
from processor.engine.values import Attempts, Commit, Committed, Conflict, TrimRequest
from processor.memory.cluster import Shard
from processor.memory.store import MemoryStore
from tests.simulation.ownership import SimulatedOwnership
from tests.simulation.processor import Defect
from tests.simulation.sink import OUTPUTS, SimulatedSink
from tests.simulation.source import SimulatedSource
from tests.simulation.store import SimulatedInFlight, SimulatedStore
from tests.simulation.wrong_rules import (
    PublishedBeforeCommit,
    RejectionsNotRecorded,
    RemovalsNotTold,
    SetOrder,
    Skipping,
    TrimmedByThePublisher,
    UndecodableSkipped,
    WallClock,
)

# -- the store ---------------------------------------------------------------------------------------------------


class _HeadNotCompared(MemoryStore):
    def _guarded(self, change: Callable[[Shard, int], None], expected_revision: int, epoch: int) -> int | None:
        del expected_revision
        return self._cluster.write(self._shard, lambda keys: keys.owner_epoch == epoch, change)


class _OwnerNotCompared(MemoryStore):
    def _guarded(self, change: Callable[[Shard, int], None], expected_revision: int, epoch: int) -> int | None:
        del epoch
        return self._cluster.write(self._shard, lambda keys: keys.head_revision == expected_revision, change)


class _CommitIdNotLookedAt(MemoryStore):
    def carry_out(self, request: Commit | TrimRequest) -> Committed | Conflict:
        before = self.read_head()
        answer = super().carry_out(request)
        if before.head_revision == self.read_head().head_revision:
            return Conflict(before.head, before.head_revision, before.owner_epoch)
        return answer


class HeadNotCompared(SimulatedStore):
    server_type = _HeadNotCompared


class OwnerNotCompared(SimulatedStore):
    server_type = _OwnerNotCompared


class CommitIdNotLookedAt(SimulatedStore):
    server_type = _CommitIdNotLookedAt


class ComparesRebuilt(SimulatedStore):
    """Resends with the compares that would hold now."""

    def resent(self, request: Commit | TrimRequest) -> Commit | TrimRequest:
        return msgspec.structs.replace(request, expected_revision=self.server.read_head().head_revision)


class OutboxApart(SimulatedStore):
    """Writes the outbox in a transaction of its own, once the commit is known."""

    def send(self, commit: Commit) -> SimulatedInFlight:
        self._entry = commit.outbox
        return super().send(msgspec.structs.replace(commit, outbox=None))

    def settled(self, answer: Committed | Conflict) -> Committed | Conflict:
        entry, self._entry = self._entry, None
        if isinstance(answer, Committed) and entry is not None:
            self.process.touch("outbox")
            self.process.stage.cluster.write(0, lambda _: True, lambda keys, revision: keys.put_entry(entry, revision))
        return super().settled(answer)


class TrimmedUnpublished(SimulatedStore):
    """Trims all that was committed before."""

    def send(self, commit: Commit) -> SimulatedInFlight:
        head = msgspec.structs.replace(commit.head, announced_seq=max(0, commit.head.seq - 1))
        return super().send(msgspec.structs.replace(commit, head=head))


class AttemptsNotKept(SimulatedStore):
    """Forgets which record was tried."""

    def try_record(self, attempts: Attempts, *, expected_revision: int, epoch: int) -> bool:
        return super().try_record(Attempts(), expected_revision=expected_revision, epoch=epoch) or bool(attempts.clean)


# -- the output --------------------------------------------------------------------------------------------------


class TailsReadOnce(SimulatedSink):
    """Trusts the tails of its first reading."""

    def tails(self) -> dict[Role, Tail]:
        if not hasattr(self, "_first_tails"):
            self._first_tails = super().tails()
        return self._first_tails


class TailsReadUncommitted(SimulatedSink):
    """Takes records of open and aborted transactions for published."""

    def _tail_once_stable(self, role: Role) -> Tail:
        log = self._writing._log(OUTPUTS[role], 0)
        records = [record for record, _ in log._slots if record is not None and record.headers]
        return tail_of(role, records[-1] if records else None, low=log.extent.low)


class StableOffsetNotCompared(SimulatedSink):
    """Does not wait for what hides the tail."""

    def _tail_once_stable(self, role: Role) -> Tail:
        topic = OUTPUTS[role]
        return tail_of(role, self._writing.last(topic, 0), low=self._writing.extent(topic, 0).low)


class OneTailForAll(SimulatedSink):
    """Takes the commit log's tail for that of the announcements."""

    def tails(self) -> dict[Role, Tail]:
        tails = super().tails()
        log = tails["commits"]
        return {**tails, "changes": tails["changes"] if log.seq is None else Tail(seq=log.seq, index=1 << 30)}


class ProducerKept(SimulatedSink):
    """Goes on with its producer whatever became of the transaction."""

    def open(self) -> None:
        if self._epoch is None:
            super().open()


class OwnTransactionalId(SimulatedSink):
    """Does not fence its predecessor."""

    def open(self) -> None:
        self.transactional_id = f"app-0-{self._process.name}"
        super().open()


# -- the rest ----------------------------------------------------------------------------------------------------


class LeaseNotLookedAt(SimulatedOwnership):
    """Takes the shard for somebody else's when the reply to its own campaign was lost."""

    def _epoch_if_ours(self) -> int | None:
        return None


class OwnerNotVerified(SimulatedOwnership):
    """Does not ask whether the shard is still its own when it has made a new producer."""

    def verify(self, epoch: int) -> bool:
        return super().verify(epoch) or True


class NotRewound(SimulatedSource):
    """Goes on reading where it was after a conflict."""

    def assign(self, positions: Positions) -> None:
        if not self._next:
            super().assign(positions)


class GroupOffsets(SimulatedSource):
    """Starts at the offsets of the group, which were told to the broker apart from the state."""

    def assign(self, positions: Positions) -> None:
        told = self._broker.group_offsets.get(self._group_id, {})
        super().assign({topic: {0: told.get((topic, 0), there[0])} for topic, there in positions.items()})


class SameBatchAfterReload(Orchestrator):
    """Keeps the batch that was refused."""

    _taken: Batch | None = None

    def _reload(self) -> None:
        super()._reload()
        self._preparer.put_back(self._taken)

    def _take_up(self, prepared: Prepared) -> None:
        self._taken = prepared.batch
        super()._take_up(prepared)


class NotFedByReload(Publisher):
    """Publishes only what it committed itself and knows of."""

    _fed = False

    def offer_all(self, outbox: Iterable[StoredEntry]) -> None:
        if not self._fed:
            super().offer_all(outbox)
        self._fed = True


class AcknowledgedTooEarly(Publisher):
    """Takes for published what it is about to publish."""

    def pump(self) -> bool:
        waiting = [stored for stored, _ in self._queue]
        if waiting and self._producer_open:
            self._acknowledged_seq = waiting[-1].entry.seq
        return super().pump()


class Specimen(msgspec.Struct, frozen=True):
    """A defect and the faults that bring it to light."""

    defect: Defect
    provoked_by: tuple[str, ...]


ZOO: Mapping[str, Specimen] = {
    "head not compared": Specimen(Defect(store=HeadNotCompared), ("commit delayed",)),
    "owner not compared": Specimen(Defect(store=OwnerNotCompared), ("commit delayed", "lease lost", "stall")),
    "commit id not looked at": Specimen(Defect(store=CommitIdNotLookedAt), ("commit applied, reply lost",)),
    "compares rebuilt on resend": Specimen(Defect(store=ComparesRebuilt), ("commit delayed", "edits in a row")),
    "outbox outside the transaction": Specimen(Defect(store=OutboxApart), ("crash",)),
    "trimmed before it was acknowledged": Specimen(Defect(store=TrimmedUnpublished), ("output left open",)),
    "tried records not kept": Specimen(Defect(store=AttemptsNotKept), ("record that kills",)),
    "tails not read again": Specimen(Defect(sink=TailsReadOnce), ("output committed, reply lost",)),
    "tails read uncommitted": Specimen(Defect(sink=TailsReadUncommitted), ("output aborted",)),
    "stable offset not compared": Specimen(
        Defect(sink=StableOffsetNotCompared), ("foreign transaction", "output committed, reply lost")
    ),
    "one tail taken for all": Specimen(Defect(sink=OneTailForAll), ("output half committed",)),
    "producer kept after an unclear transaction": Specimen(
        Defect(sink=ProducerKept), ("output committed late", "output half committed late")
    ),
    "transactional id of its own": Specimen(Defect(sink=OwnTransactionalId), ("lease lost", "stall")),
    "campaign reply lost": Specimen(Defect(ownership=LeaseNotLookedAt), ("campaign applied, reply lost",)),
    "owner not verified": Specimen(Defect(ownership=OwnerNotVerified), ("lease lost", "stall")),
    "not rewound": Specimen(Defect(source=NotRewound), ("edit",)),
    "offsets kept apart from the state": Specimen(Defect(source=GroupOffsets), ("crash",)),
    "removals not told": Specimen(Defect(machine=RemovalsNotTold), ()),
    "rejections not recorded": Specimen(Defect(machine=RejectionsNotRecorded), ()),
    "wall clock in a reducer": Specimen(Defect(machine=WallClock), ()),
    "set order in a reducer": Specimen(Defect(machine=SetOrder), ()),
    "undecodable skipped without a dead letter": Specimen(
        Defect(machine=Skipping, decoder=UndecodableSkipped), ("undecodable record",)
    ),
    "published before the commit": Specimen(
        Defect(orchestrator=PublishedBeforeCommit), ("commit lost", "crash", "lease lost")
    ),
    "trimmed from the publisher's thread": Specimen(Defect(announcer=TrimmedByThePublisher), ()),
    "the same batch after a reload": Specimen(Defect(orchestrator=SameBatchAfterReload), ("edit",)),
    "publisher not fed by a reload": Specimen(
        Defect(publisher=NotFedByReload), ("commit applied, reply lost", "edit", "edits in a row")
    ),
    "acknowledged before it was published": Specimen(Defect(publisher=AcknowledgedTooEarly), ("output left open",)),
}
