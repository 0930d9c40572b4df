"""Taking over a shard: own, fence, tails, still ours?, snapshot, outbox, positions, in this order."""

import msgspec

from processor.engine.compose import first_head
from processor.engine.errors import OwnershipLost, ShardRefused
from processor.engine.inputs import TopicFacts
from processor.engine.parts import Parts
from processor.engine.positions import MutablePositions, checked_positions, first_positions, reached
from processor.engine.publisher import Publisher
from processor.engine.recovery import Restored, check_versions, foreign_edit, restore
from processor.engine.reloading import Mending, mend
from processor.engine.requests import Requests
from processor.engine.values import Commit, Conflict, Head, Snapshot


class TakenOver(msgspec.Struct, frozen=True):
    """A shard that may be run: reading goes on at `reading`. `mending`: the commit to send first."""

    snapshot: Snapshot
    head: Head
    revision: int
    restored: Restored
    positions: MutablePositions
    reading: MutablePositions
    mending: Mending


def take_over(parts: Parts, *, epoch: int, publisher: Publisher, requests: Requests) -> TakenOver:
    """Return the shard as it stands, its outbox handed to the publisher.

    Raises OwnershipLost, ShardRefused, Retry (take over again).
    """
    publisher.open_output(epoch=epoch, moved=requests.show_life)
    facts = parts.source.facts()
    requests.show_life()
    snapshot = parts.store.load()
    if snapshot.owner_epoch != epoch:
        raise OwnershipLost(f"the owner's epoch is {snapshot.owner_epoch or 'gone'}, ours was {epoch}")
    parts.failpoint("in_takeover")
    head_seq = -1 if snapshot.head is None else snapshot.head.seq
    announced_seq = -1 if snapshot.head is None else snapshot.head.announced_seq
    publisher.start(epoch=epoch, head_seq=head_seq, announced_seq=announced_seq, outbox=snapshot.outbox)
    if snapshot.head is None:
        return _first_start(parts, snapshot, facts, epoch=epoch, requests=requests)
    return _continue(parts, snapshot, snapshot.head, facts)


def _continue(parts: Parts, snapshot: Snapshot, head: Head, facts: TopicFacts) -> TakenOver:
    check_versions(head, reducer_version=parts.machine.version)
    positions = checked_positions(head, facts)
    restored = restore(snapshot, machine=parts.machine, encoder=parts.encoder)
    going_on = msgspec.structs.replace(head, positions=positions)
    mending = mend(snapshot, going_on, restored, (), machine=parts.machine, encoder=parts.encoder)
    if mending is None:
        raise foreign_edit(parts.store, snapshot, found=restored.digest)
    return TakenOver(snapshot, head, snapshot.head_revision, restored, positions, reached(going_on), mending)


def _first_start(parts: Parts, snapshot: Snapshot, facts: TopicFacts, *, epoch: int, requests: Requests) -> TakenOver:
    if snapshot.entities:
        raise ShardRefused(
            f"{len(snapshot.entities)} entities stand in the store without a head: whose are they? "
            "Restore the head, or delete the shard's keys and put a snapshot in with: processor state import"
        )
    restored = restore(snapshot, machine=parts.machine, encoder=parts.encoder)
    positions = first_positions(facts, start=parts.start)
    head = first_head(
        positions=positions,
        topics=dict(facts.topic_ids),
        digest=restored.images.digest,
        epoch=epoch,
        now_ms=parts.clock.now_ms(),
        identity=parts.identity,
    )
    answer = requests.resolve(parts.store.send(Commit(expected_revision=0, head=head)))
    if isinstance(answer, Conflict):
        raise OwnershipLost("somebody else started the shard")
    return TakenOver(snapshot, head, answer.revision, restored, positions, positions, Mending(restored.state))
