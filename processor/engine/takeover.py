"""Taking over a shard: from owning its key to a state that may be built upon.

Owning is a key in the store. From the moment that it is ours no transaction of a predecessor can succeed there, because
every one compares that key. The output knows nothing of it, so the order of what follows is what keeps two owners from
publishing:

1. fence every older producer; what one left open is aborted, so that nothing of a predecessor appears any more;
2. read the tails of the output: what was published, which nobody changes now;
3. ask, linearizably, whether the shard is still ours. If not, another owner fenced us or will: say nothing and stop;
4. read the snapshot, at a revision after owning: the last commit of a predecessor is in it;
5. compare tails with the head, and queue what the outbox holds above them;
6. check the positions against the watermarks, restore the state, and go on.

Who relies on it: `Publisher.start` expects the tails of `open_output`; `Committer` builds on the head's revision,
which its first transaction compares. A shard without a head gets one here, at seq 0, with nothing to publish.
"""

from processor.engine.compose import first_head
from processor.engine.errors import OwnershipLost, ShardRefused
from processor.engine.inputs import TopicFacts
from processor.engine.parts import Parts
from processor.engine.positions import checked_positions, first_positions
from processor.engine.publisher import Publisher
from processor.engine.recovery import Recovered, check_versions, recover, restore
from processor.engine.requests import Requests
from processor.engine.values import Commit, Conflict, Snapshot


def take_over(parts: Parts, *, epoch: int, publisher: Publisher, requests: Requests) -> Recovered:
    """Return the shard as it stands, its outbox handed to the publisher.

    Raises OwnershipLost, ShardRefused, Retry (take over again).
    """
    publisher.open_output(epoch=epoch, moved=requests.show_life)
    facts = parts.source.facts()
    requests.show_life()
    snapshot = parts.store.load()
    if snapshot.owner_epoch != epoch:
        raise OwnershipLost(f"the owner's epoch is {snapshot.owner_epoch or 'gone'}, ours was {epoch}")
    parts.callbacks.failpoint("in_takeover")
    head = snapshot.head
    head_seq, announced_seq = (-1, -1) if head is None else (head.seq, head.announced_seq)
    publisher.start(epoch=epoch, head_seq=head_seq, announced_seq=announced_seq, outbox=snapshot.outbox)
    if head is None:
        return _first_start(parts, snapshot, facts, epoch=epoch, requests=requests)
    check_versions(head, reducer_version=parts.machine.version)
    return recover(parts, snapshot, head, positions=checked_positions(head, facts), known_states={})


def _first_start(parts: Parts, snapshot: Snapshot, facts: TopicFacts, *, epoch: int, requests: Requests) -> Recovered:
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
    return Recovered(
        snapshot=snapshot,
        head=head,
        revision=answer.revision,
        restored=restored,
        before=restored.state,
        positions=positions,
        reading=positions,
    )
