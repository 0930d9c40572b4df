"""From a snapshot to a state that may be built upon: decoded, summed again and compared with the head."""

from base64 import b64decode
from typing import Any

import msgspec

from processor.engine.digest import digest_hex
from processor.engine.errors import ShardRefused
from processor.engine.images import Images
from processor.engine.machine import StateMachine
from processor.engine.ports import Encoder, Store
from processor.engine.values import LAYOUT, Head, Snapshot

NAMED_MAX = 20


class Restored(msgspec.Struct, frozen=True):
    """The decoded state, its images, and the digest that they sum up to (32 hex digits)."""

    state: Any
    images: Images
    digest: str


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
    told = ", ".join(sorted(head.repaired)[:NAMED_MAX]) if head else ""
    hint = f" (head.repaired tells of {told}, which does not explain it)" if told else ""
    return ShardRefused(
        f"the state's digest is {found}, its head says {expected}: changed without the head: {shown}{more}{hint}. "
        "processor doctor shows it again; to accept what stands there: processor shards adopt SHARD --execute"
    )
