"""The encoded bytes and digest of every entity, kept beside the state so that each change is encoded once."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from processor.engine.digest import MODULUS, entity_digest
from processor.engine.machine import Change
from processor.engine.ports import Encoder


class Held(msgspec.Struct, frozen=True, gc=False):
    """One entity as encoded: `value` is its stored value, `digest` its summand."""

    entity: Any
    value: bytes
    digest: int


class EncodedChange(msgspec.Struct, frozen=True):
    """A change with its key and stored values; `after` is None when the entity goes, `before` when it comes."""

    key: str
    change: Change
    before: Held | None
    after: Held | None


class Encoded(msgspec.Struct, frozen=True):
    """The changes of one batch, encoded, and the digest of the state after them."""

    changes: tuple[EncodedChange, ...]
    digest: int
    bytes: int

    @property
    def sizes(self) -> list[int]:
        """The sizes of the stored values of what is not gone."""
        return [len(item.after.value) for item in self.changes if item.after is not None]


class Images:
    """What stands encoded for the state last accepted. `encode` looks ahead, `accept` moves on."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._held: dict[str, Held] = {}
        self.digest = 0

    def load(self, entities: Iterable[tuple[str, Any]], values: dict[str, bytes]) -> None:
        """Start from these entities; `values` are the stored values that this release's schema would give again."""
        self._held = {key: self._hold(key, entity, values.get(key)) for key, entity in entities}
        self.digest = sum(held.digest for held in self._held.values()) % MODULUS

    def encode(self, changes: Sequence[Change], *, on: "Encoded | None" = None) -> Encoded:
        """Encode each changed entity once. `on` is a batch encoded before and not accepted yet."""
        ahead = {} if on is None else {item.key: item.after for item in on.changes}
        digest = self.digest if on is None else on.digest
        done, size = [], 0
        for change in changes:
            key = change.key
            before = ahead[key] if key in ahead else self._held.get(key)
            if change.before is None:
                before = None
            elif before is None or before.entity is not change.before:
                before = self._hold(key, change.before, None)
            after = None if change.after is None else self._hold(key, change.after, None)
            digest += (after.digest if after else 0) - (before.digest if before else 0)
            size += len(key) + (2 * len(after.value) if after else 0) + (len(before.value) if before else 0)
            done.append(EncodedChange(key, change, before, after))
        return Encoded(tuple(done), digest % MODULUS, size)

    def accept(self, encoded: Encoded) -> None:
        """Take the changes as they now stand in the store."""
        for item in encoded.changes:
            if item.after is None:
                self._held.pop(item.key, None)
            else:
                self._held[item.key] = item.after
        self.digest = encoded.digest

    def _hold(self, key: str, entity: Any, value: bytes | None) -> Held:
        if value is None:
            value = self._encoder.encode(key, entity)
        return Held(entity, value, entity_digest(key, self._encoder.body(value)))
