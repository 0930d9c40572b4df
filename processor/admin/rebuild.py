"""Folding everything with this build into a shadow beside the live state, comparing the two, and swapping it in.

A fold leaves out what earlier rebuilds announced: they told what their builds made of the same events. Edits by hand
(commits of kind repair) are facts of their own and are taken as they were announced.
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
"""(a state, the head that it belongs to, a later seq) → the state there; no head: from the empty state on."""


class Comparison(msgspec.Struct, frozen=True):
    """The live state, whose head is `head`, and what this build makes of the same records.

    `digest` and `reducer_version` are the latter's.
    """

    head: Head
    live: Any
    rebuilt: Any
    digest: str
    reducer_version: int


class ShadowPlace(Protocol):
    """Where a shadow is kept."""

    def write(self, head: Head, values: Iterable[tuple[str, bytes]]) -> None:
        """Put a state there in place of another."""
        ...

    def read(self) -> Snapshot | None:
        """Return the state, None when there is none."""
        ...

    def remove(self) -> int:
        """Take it away; return how many keys there were."""
        ...


class Rebuild:
    """Rebuilds one shard.

    Everything raises StoreUnavailable, SourceUnavailable, ShardRefused (never ran, newer build, foreign edit) and
    InvalidRequest (no shadow, records are gone).
    """

    def __init__(self, parts: Parts, shadow: ShadowPlace, refold: Refold) -> None:
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
        """Swap the shadow in, folded on up to the live state's commit, and take it away.

        Raises besides OwnershipLost (owned elsewhere) and OutcomeUnknown.
        """
        self._shadow_snapshot()
        swapped = swap(self._parts, self._shadow_at, by=by, facts=dict(facts))
        self._shadow.remove()
        return swapped

    def abort(self) -> int:
        """Take the shadow away, or what an interrupted attempt left of it; return how many keys there were."""
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
            # promoted already, and killed before the shadow was gone: that commit may not be published yet
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
