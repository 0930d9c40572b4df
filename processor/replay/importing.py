"""A snapshot imported into a shard that the store does not know: one guarded transaction, under an epoch of its own.

A snapshot does not hold what its commits had to publish, so the commit log decides whether it fits: when the log goes
further, the snapshot is too old, and an import would give numbers twice.
"""

from collections.abc import Iterator

import msgspec

from processor.engine.errors import InvalidRequest, OwnershipLost, ShardRefused
from processor.engine.inputs import TopicFacts
from processor.engine.operator.transaction import owned, settled
from processor.engine.parts import Parts
from processor.engine.positions import checked_positions
from processor.engine.values import AuditEntry, Commit, Head, Image
from processor.engine.values import Snapshot as StoreSnapshot
from processor.replay.snapshots import Snapshot


class Import(msgspec.Struct, frozen=True):
    """A planned import: the `head` that will be written; `warnings` say what the next owner will meet."""

    head: Head
    entities: int
    warnings: tuple[str, ...]


class Logged(msgspec.Struct, frozen=True):
    """The last commit in the log, and the store's revision that it was made at."""

    seq: int
    revision: int


def plan_import(parts: Parts, snapshot: Snapshot, *, logged: Logged | None) -> Import:
    """Return the planned import; `logged` is None when the commit log is empty.

    Raises OwnershipLost (there is a head), ShardRefused (entities without a head), InvalidRequest (too old),
    StoreUnavailable, SourceUnavailable.
    """
    stored = parts.store.load()
    check_empty(stored, shard=snapshot.shard)
    if logged is not None and logged.seq > snapshot.head.seq:
        raise InvalidRequest(
            f"the snapshot is of seq {snapshot.head.seq}, the commit log goes on to {logged.seq}: a processor would "
            "refuse it. Fold the rest first: processor replay --from-snapshot FILE --snapshot NEWER, and import that"
        )
    facts = parts.source.facts()
    head = _prepared(snapshot.head, facts)
    return Import(head, len(snapshot.entities), tuple(_warnings(head, facts, logged, stored.revision)))


def import_snapshot(parts: Parts, snapshot: Snapshot, planned: Import, *, by: str, file: str) -> None:
    """Write the snapshot as the shard's state.

    Raises OwnershipLost (owned elsewhere, or a head appeared), ShardRefused, StoreUnavailable, OutcomeUnknown.
    """
    with owned(parts) as epoch:
        check_empty(parts.store.load(), shard=snapshot.shard)
        head = msgspec.structs.replace(planned.head, epoch=epoch, commit_id=f"{epoch}-import")
        facts = {"file": file, "written_ms": snapshot.written_ms, "digest": head.digest}
        commit = Commit(
            expected_revision=0,
            head=head,
            images=tuple(Image(key, value) for key, value in snapshot.entities),
            audit=AuditEntry(parts.clock.now_ms(), "import", by, head.seq, facts),
        )
        settled(parts, parts.store.send(commit))


def check_empty(stored: StoreSnapshot, *, shard: int) -> None:
    """Raise OwnershipLost or ShardRefused when the store already has keys of the shard."""
    if stored.head is not None:
        raise OwnershipLost(f"shard {shard} has a state: its head is at seq {stored.head.seq}; nothing is overwritten")
    if stored.entities:
        raise ShardRefused(f"{len(stored.entities)} entities of shard {shard} stand in the store without a head")


def _prepared(head: Head, facts: TopicFacts) -> Head:
    """Return the head to write: everything up to it counts as published; missing topic ids are the present ones."""
    topics = head.topics or dict(facts.topic_ids)
    return msgspec.structs.replace(head, topics=topics, announced_seq=head.seq, pending=0)


def _warnings(head: Head, facts: TopicFacts, logged: Logged | None, revision: int) -> Iterator[str]:
    if logged is None and head.seq:
        yield f"the commit log is empty: commits 1 to {head.seq} will not be announced"
    elif logged is not None and logged.seq < head.seq:
        yield f"the commit log ends with {logged.seq}: commits {logged.seq + 1} to {head.seq} will not be announced"
    if logged is not None and revision < logged.revision:
        yield (
            f"the store is at revision {revision}, the commit log at {logged.revision}: epochs and revisions begin "
            "anew. etcdutl snapshot restore --bump-revision lets them go on instead"
        )
    try:
        checked_positions(head, facts)
    except ShardRefused as refused:
        yield f"a processor will refuse to go on: {refused}"
