"""Replacing the state by one that was folded anew: one commit, which the next owner announces."""

from collections.abc import Callable
from typing import Any

import msgspec

from processor.engine.compose import Stamp, UnstampedCommit, compose, largest_record
from processor.engine.errors import InvalidRequest, ShardRefused
from processor.engine.images import Encoded
from processor.engine.machine import Change
from processor.engine.operator.transaction import known_head, owned, settled
from processor.engine.parts import Parts
from processor.engine.recovery import Restored, restore
from processor.engine.values import AuditEntry, Commit, Head, Snapshot

NAMED_MAX = 10

Fold = Callable[[Head], Any]
"""From a head to the state that its records give with this build."""


class Swap(msgspec.Struct, frozen=True):
    """What was swapped in: the head it was built on, and what differs; without a difference nothing was committed."""

    head: Head
    changes: tuple[Change, ...]
    digest: int

    @property
    def needed(self) -> bool:
        """The states differ."""
        return bool(self.changes)


def swap(parts: Parts, fold: Fold, *, by: str, facts: dict[str, Any]) -> Swap:
    """Commit the difference between what stands and what `fold` gives, under an epoch of its own, as a `rebuild`.

    `by` and `facts` go into the audit log. Raises OwnershipLost (owned elsewhere), ShardRefused (no state, newer build,
    foreign edit), InvalidRequest (a record would be too large to publish), OutcomeUnknown, StoreUnavailable, and what
    `fold` raises.
    """
    with owned(parts) as epoch:
        snapshot = parts.store.load()
        head = known_head(parts, snapshot)
        standing = standing_state(parts, snapshot, head)
        changes = parts.machine.diff(standing.state, fold(head))
        encoded = standing.images.encode(changes)
        if changes:
            commit = _commit(parts, snapshot, head, encoded, epoch=epoch)
            _check_size(parts, commit)
            noted = {**facts, "changed": len(changes), "digest_before": head.digest, "digest": commit.head.digest}
            entry = AuditEntry(commit.head.committed_ms, "rebuild", by, commit.head.seq, noted)
            parts.callbacks.failpoint("before_commit")
            settled(parts, parts.store.send(msgspec.structs.replace(commit, audit=entry)))
            parts.callbacks.failpoint("after_commit")
        return Swap(head, changes, encoded.digest)


def standing_state(parts: Parts, snapshot: Snapshot, head: Head) -> Restored:
    """Return the state that stands in the store. Raises ShardRefused for one that was changed without its head."""
    restored = restore(snapshot, machine=parts.machine, encoder=parts.encoder)
    # an older version's digest is over other bytes
    if head.reducer_version == parts.machine.version and restored.digest != head.digest:
        raise ShardRefused(
            f"the state's digest is {restored.digest}, its head says {head.digest}: changed without the head. "
            f"First accept what stands there: processor shards adopt {parts.identity.shard} --execute"
        )
    return restored


def _commit(parts: Parts, snapshot: Snapshot, head: Head, encoded: Encoded, *, epoch: int) -> Commit:
    unstamped = UnstampedCommit(kind="rebuild", after=None, encoded=encoded, positions=head.positions)
    stamp = Stamp(
        head=head,
        revision=snapshot.head_revision,
        epoch=epoch,
        now_ms=parts.clock.now_ms(),
        commit_id=f"{epoch}-rebuild",
        announced_seq=head.announced_seq,
        record_bytes_max=parts.sink.record_bytes_max(),
    )
    return compose(unstamped, stamp, identity=parts.identity, encoder=parts.encoder)


def _check_size(parts: Parts, commit: Commit) -> None:
    size_max = parts.sink.record_bytes_max()
    announced = commit.outbox.announcements if commit.outbox else ()
    short = [item.key for item in announced if "after" in item.omitted or "transitions" in item.omitted]
    if short or largest_record(commit) > size_max:
        raise InvalidRequest(
            f"the outcome of {', '.join(short[:NAMED_MAX]) or 'an entity'} cannot be announced, the output's topics "
            f"take {size_max} bytes: raise their max.message.bytes first"
        )
