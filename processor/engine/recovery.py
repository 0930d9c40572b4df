"""From what stands in the store to a state that may be built upon: decoded, summed again and compared with the head.

The head's digest says which state was committed. What stands beside it may differ, because somebody changed entities by
hand. Such an edit is committed before anything else, as a commit of kind `repair`, if the state before it is known, so
that its announcements tell both sides: it is one of the owner's own states where a running owner met the edit
(`known_states`), or what `Head.repaired` tells where an earlier repair left it. Otherwise the shard is refused, until a
person accepts what stands there. A state made by an older reducer has no digest that could be compared: it is taken as
it stands, and the commit of kind `upgrade` records the digest that it has with this build.

Until that first commit is known, the committed state is the one before the edit (`Recovered.before`), and the tip is
what stands in the store (`Recovered.restored`).
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from processor.engine.announcements import CommitKind
from processor.engine.compose import UnstampedCommit
from processor.engine.digest import digest_hex
from processor.engine.errors import ShardRefused
from processor.engine.images import Images
from processor.engine.inputs import Positions
from processor.engine.machine import Change, StateMachine
from processor.engine.parts import Parts
from processor.engine.ports import Encoder, Store
from processor.engine.positions import MutablePositions, reached
from processor.engine.values import LAYOUT, Head, Snapshot

NAMED_MAX = 20


class Restored(msgspec.Struct, frozen=True):
    """The decoded state, its images, and the digest that they sum up to (32 hex digits)."""

    state: Any
    images: Images
    digest: str


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """A shard that may be run: `positions` are its head's, reading goes on at `reading`.

    `before` is the state that has the head's digest. `first_commit` leads from there to what stands in the store; None:
    it stands there already.
    """

    snapshot: Snapshot
    head: Head
    revision: int
    restored: Restored
    before: Any
    positions: MutablePositions
    reading: MutablePositions
    first_commit: UnstampedCommit | None = None


def recover(
    parts: Parts, snapshot: Snapshot, head: Head, *, positions: MutablePositions, known_states: Mapping[str, Any]
) -> Recovered:
    """Return the shard as its snapshot has it; `head` is the snapshot's, `positions` are where its commits go on.

    `known_states`: digest (32 hex digits) → a state of ours that was committed or sent. Raises ShardRefused when
    entities were changed without the head and nothing tells what stood there before.
    """
    restored = restore(snapshot, machine=parts.machine, encoder=parts.encoder)
    before, first_commit = restored.state, None
    if head.reducer_version < parts.machine.version:
        first_commit = restored_commit("upgrade", restored, (), positions)
    elif restored.digest != head.digest:
        before = known_states.get(head.digest)
        if before is None:
            earlier = before_repair(snapshot, machine=parts.machine, encoder=parts.encoder)
            if earlier is None:
                raise foreign_edit(parts.store, snapshot, found=restored.digest)
            before = earlier.state
        first_commit = restored_commit("repair", restored, parts.machine.diff(before, restored.state), positions)
    return Recovered(
        snapshot=snapshot,
        head=head,
        revision=snapshot.head_revision,
        restored=restored,
        before=before,
        positions=positions,
        reading=reached(msgspec.structs.replace(head, positions=positions)),
        first_commit=first_commit,
    )


def restored_commit(
    kind: CommitKind, restored: Restored, changes: Sequence[Change], positions: Positions
) -> UnstampedCommit:
    """Return the commit that makes these changes and leads to the restored state, which stands in the store already."""
    encoded = restored.images.encode(changes)
    return UnstampedCommit(
        kind=kind,
        after=restored.state,
        encoded=msgspec.structs.replace(encoded, digest=restored.images.digest),
        positions=positions,
    )


def restore(snapshot: Snapshot, *, machine: StateMachine[Any, Any], encoder: Encoder) -> Restored:
    """Decode every entity and sum the digest again. Raises ShardRefused for what this build cannot read."""
    state = machine.load((key, encoder.decode(key, value)) for key, value in snapshot.entities)
    images = Images(encoder)
    images.load(machine.entities(state), _current_values(snapshot, machine=machine, encoder=encoder))
    return Restored(state, images, digest_hex(images.digest))


def _current_values(snapshot: Snapshot, *, machine: StateMachine[Any, Any], encoder: Encoder) -> dict[str, bytes]:
    """Return the stored values that encoding would give again; after an upgrade, keys still hold those of before."""
    if snapshot.head is None or snapshot.head.reducer_version != machine.version:
        return {}
    return {key: value for key, value in snapshot.entities if encoder.is_current(key, value)}


def check_versions(head: Head, *, reducer_version: int) -> None:
    """Raise ShardRefused when the store was written by something newer than this build."""
    if head.layout > LAYOUT:
        raise ShardRefused(f"the store has layout {head.layout}, this build knows {LAYOUT}: run a newer build")
    if head.reducer_version > reducer_version:
        raise ShardRefused(
            f"the state was made by reducer version {head.reducer_version}, this build has {reducer_version}: "
            "run a newer build"
        )


def before_repair(snapshot: Snapshot, *, machine: StateMachine[Any, Any], encoder: Encoder) -> Restored | None:
    """Return the state before the repair by hand that the head tells of (`Head.repaired`).

    None: it tells of none, or what it tells does not explain the difference between the state's digest and the head's.
    """
    head = snapshot.head
    if head is None or not head.repaired or head.reducer_version != machine.version:
        return None
    entities = dict(snapshot.entities)
    try:
        for key, value in head.repaired.items():
            entities.pop(key, None)
            if value is not None:
                entities[key] = b64decode(value, validate=True)
        earlier = msgspec.structs.replace(snapshot, entities=tuple(sorted(entities.items())))
        before = restore(earlier, machine=machine, encoder=encoder)
    except (ValueError, ShardRefused):  # no base64, no entity
        return None
    return before if before.digest == head.digest else None


def foreign_edit(store: Store, snapshot: Snapshot, *, found: str) -> ShardRefused:
    """Return the refusal of a state that does not have its head's digest, naming what was edited."""
    head = snapshot.head
    expected = head.digest if head else "none"
    named = store.suspects(snapshot)
    shown = ", ".join(named[:NAMED_MAX]) or "nothing that is still there (something was removed)"
    more = f" and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
    repaired = ", ".join(sorted(head.repaired)[:NAMED_MAX]) if head else ""
    hint = f" (head.repaired tells of {repaired}, which does not explain it)" if repaired else ""
    return ShardRefused(
        f"the state's digest is {found}, its head says {expected}: changed without the head: {shown}{more}{hint}. "
        "processor doctor shows it again; to accept what stands there: processor shards adopt SHARD --execute"
    )
