"""Rebuilding a shard: its recorded events folded again by this build, compared with the live state, and swapped in.

After a defect of the state generator is fixed, the live state still holds what the defect made of past events. A
rebuild computes what the fixed build makes of them, without stopping the shard:

1. `make` folds everything up to the live state's commit and keeps the result as a shadow, under keys of its own that
   expire. The live state is only read.
2. `compare` folds on what was committed since, and compares again.
3. `promote` folds on once more, under an epoch of its own while no processor owns the shard, and commits the difference
   as one commit of kind rebuild (`engine.operator.swapping`). The next owner announces it like any other.

The fold reduces the events of every version by this build alone. Edits by hand (commits of kind repair) are facts of
their own and are taken as announced; commits of kind rebuild are left out, because they announced what their builds
made of the same events. So a rebuild of a rebuilt shard is again a function of the events.

The shadow is a cache: one whose digest does not match its head, or of another reducer version, is rejected. `promote`
may be interrupted anywhere: either nothing is committed, or the live digest is already the shadow's, which the next
attempt recognises.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from processor.engine.digest import MODULUS, digest_hex, entity_digest
from processor.engine.errors import InvalidRequest
from processor.engine.operator.swapping import Swap, standing_state, swap
from processor.engine.operator.transaction import known_head
from processor.engine.parts import Parts
from processor.engine.recovery import restore
from processor.engine.values import Head, Snapshot

Refold = Callable[[Any, Head | None, int], Any]
"""(state, its head, a later seq) → the state at that seq; without a head, from the empty state on."""


class Comparison(msgspec.Struct, frozen=True):
    """The live state, whose head is `head`, and the state that this build makes of the same records.

    `digest` and `reducer_version` belong to `rebuilt`.
    """

    head: Head
    live: Any
    rebuilt: Any
    digest: str
    reducer_version: int


class ShadowStore(Protocol):
    """Keeps one shadow."""

    def write(self, head: Head, values: Iterable[tuple[str, bytes]]) -> None:
        """Write a state, replacing an earlier one."""
        ...

    def read(self) -> Snapshot | None:
        """Return the state with its head, None when there is no shadow."""
        ...

    def remove(self) -> int:
        """Delete it; return how many keys there were."""
        ...


class Rebuild:
    """Rebuilds one shard.

    Everything raises StoreUnavailable, SourceUnavailable, ShardRefused (never ran, newer build, foreign edit) and
    InvalidRequest (no shadow, records are gone).
    """

    def __init__(self, parts: Parts, shadow: ShadowStore, refold: Refold) -> None:
        self._parts = parts
        self._shadow = shadow
        self._refold = refold

    def make(self) -> Comparison:
        """Fold everything up to the live state's commit, keep the result as the shadow, and compare."""
        head, live = self._live()
        rebuilt = self._refold(None, None, head.seq)
        values, digest = self._encoded(rebuilt)
        version = self._parts.machine.version
        self._shadow.write(msgspec.structs.replace(head, digest=digest, reducer_version=version), values)
        return Comparison(head, live, rebuilt, digest, version)

    def compare(self) -> Comparison:
        """Fold what came since the shadow was made, and compare with the live state of now."""
        head, live = self._live()
        rebuilt = self._shadow_at(head)
        return Comparison(head, live, rebuilt, self._encoded(rebuilt)[1], self._parts.machine.version)

    def promote(self, *, by: str, facts: Mapping[str, Any]) -> Swap:
        """Fold the shadow on up to the live state's commit, swap it in, and delete it.

        `by` and `facts` go into the audit log. Raises also OwnershipLost (owned elsewhere) and OutcomeUnknown.
        """
        self._shadow_snapshot()
        swapped = swap(self._parts, self._shadow_at, by=by, facts=dict(facts))
        self._shadow.remove()
        return swapped

    def abort(self) -> int:
        """Delete the shadow, or what an interrupted attempt left of it; return how many keys there were."""
        return self._shadow.remove()

    def _live(self) -> tuple[Head, Any]:
        snapshot = self._parts.store.load()
        head = known_head(self._parts, snapshot)
        return head, standing_state(self._parts, snapshot, head).state

    def _shadow_at(self, head: Head) -> Any:
        """Return the shadow's state, folded on to a head's seq."""
        snapshot = self._shadow_snapshot()
        made_of = known_head(self._parts, snapshot)
        if made_of.reducer_version != self._parts.machine.version:
            raise InvalidRequest(
                f"the shadow was made by reducer version {made_of.reducer_version}, this build has "
                f"{self._parts.machine.version}: make it again"
            )
        restored = restore(snapshot, machine=self._parts.machine, encoder=self._parts.encoder)
        if restored.digest != made_of.digest:
            raise InvalidRequest("the shadow is not as it was made: make it again")
        if head.digest == made_of.digest:
            # promoted already and interrupted before the shadow was deleted; that commit may not be published yet
            return restored.state
        return self._refold(restored.state, made_of, head.seq)

    def _shadow_snapshot(self) -> Snapshot:
        snapshot = self._shadow.read()
        if snapshot is None:
            raise InvalidRequest("there is no such shadow: make it first, the same command without --promote does")
        return snapshot

    def _encoded(self, state: Any) -> tuple[list[tuple[str, bytes]], str]:
        encoder = self._parts.encoder
        values = [(key, encoder.encode(key, entity)) for key, entity in self._parts.machine.entities(state)]
        digest = sum(entity_digest(key, encoder.body(value)) for key, value in values) % MODULUS
        return values, digest_hex(digest)
