"""Accepting a foreign edit: what stands in the store becomes the state, and the commit log says so."""

from typing import Any, Literal

import msgspec

from processor.engine.compose import Stamp, UnstampedCommit, compose
from processor.engine.errors import ShardRefused
from processor.engine.images import Encoded, EncodedChange
from processor.engine.operator.transaction import known_head, owned, settled
from processor.engine.parts import Parts
from processor.engine.recovery import Restored, before_repair, restore, restored_commit
from processor.engine.values import AuditEntry, Commit, Head, Snapshot

NAMED_MAX = 100
"""How many of the entities found edited the audit log names."""


class AdoptedChange(msgspec.Struct, frozen=True):
    """An entity announced as it is: what stood there before is not known, so no transitions either."""

    kind: str
    name: str
    after: Any
    op: Literal["update"] = "update"
    before: None = None
    transitions: tuple[()] = ()

    @property
    def key(self) -> str:
        """`<kind>/<name>`."""
        return f"{self.kind}/{self.name}"


class Adoption(msgspec.Struct, frozen=True):
    """What adopting would do. `named` are the entities found edited; nothing is needed when digests agree."""

    head: Head
    found_digest: str
    named: tuple[str, ...]

    @property
    def needed(self) -> bool:
        """The state does not have its head's digest."""
        return self.found_digest != self.head.digest


def plan_adoption(parts: Parts) -> Adoption:
    """Read the shard and return what stands there. Raises StoreUnavailable, ShardRefused (no state, newer build)."""
    return _look(parts)[0]


def adopt(parts: Parts, *, by: str = "tools") -> Adoption:
    """Commit what stands in the store as a repair, under an epoch of its own; the next owner announces it.

    `by` is who wants it, for the audit log.

    Raises OwnershipLost (owned elsewhere), ShardRefused (nothing to adopt), OutcomeUnknown, StoreUnavailable.
    """
    with owned(parts) as epoch:
        adoption, snapshot, restored = _look(parts)
        if not adoption.needed:
            raise ShardRefused("the state has its head's digest: there is nothing to adopt")
        commit = _commit(parts, adoption, snapshot, restored, epoch=epoch)
        facts = {
            "edited": list(adoption.named[:NAMED_MAX]),
            "edited_count": len(adoption.named),
            "digest_of_head": adoption.head.digest,
            "digest_found": adoption.found_digest,
        }
        entry = AuditEntry(commit.head.committed_ms, "adopt", by, commit.head.seq, facts)
        settled(parts, parts.store.send(msgspec.structs.replace(commit, audit=entry)))
        return adoption


def _look(parts: Parts) -> tuple[Adoption, Snapshot, Restored]:
    snapshot = parts.store.load()
    head = known_head(parts, snapshot)
    restored = restore(snapshot, machine=parts.machine, encoder=parts.encoder)
    named = parts.store.suspects(snapshot) if restored.digest != head.digest else ()
    return Adoption(head, restored.digest, named), snapshot, restored


def _commit(parts: Parts, adoption: Adoption, snapshot: Snapshot, restored: Restored, *, epoch: int) -> Commit:
    earlier = before_repair(snapshot, machine=parts.machine, encoder=parts.encoder)
    if earlier is None:
        unstamped = _adopted(parts, adoption, restored)
    else:  # the head tells what was repaired: its owner would commit the same
        changes = parts.machine.diff(earlier.state, restored.state)
        unstamped = restored_commit("repair", restored, changes, adoption.head.positions)
    stamp = Stamp(
        head=adoption.head,
        revision=snapshot.head_revision,
        epoch=epoch,
        now_ms=parts.clock.now_ms(),
        commit_id=f"{epoch}-adopt",
        announced_seq=adoption.head.announced_seq,
        record_bytes_max=parts.sink.record_bytes_max(),
    )
    return compose(unstamped, stamp, identity=parts.identity, encoder=parts.encoder)


def _adopted(parts: Parts, adoption: Adoption, restored: Restored) -> UnstampedCommit:
    entities = dict(parts.machine.entities(restored.state))
    changes = restored.images.encode([_as_it_is(key, entities[key]) for key in adoption.named if key in entities])
    adopted = tuple(EncodedChange(item.key, item.change, None, item.after) for item in changes.changes)
    return UnstampedCommit(
        kind="repair",
        after=restored.state,
        encoded=Encoded(adopted, restored.images.digest, changes.bytes),
        positions=adoption.head.positions,
    )


def _as_it_is(key: str, entity: Any) -> AdoptedChange:
    kind, _, name = key.partition("/")
    return AdoptedChange(kind, name, entity)
