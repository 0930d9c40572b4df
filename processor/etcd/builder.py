"""One transaction in the making: operations are added while the request has room for them. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec

from processor.engine.values import AuditEntry, Head, Image
from processor.etcd import requests
from processor.etcd.backlog import Backlog, Delta, Effect
from processor.etcd.layout import ShardKeys, audit_key, encode_audit, encode_head, numbered
from processor.etcd.limits import Limits

SOFT_BYTES_MAX = 128 * 1024
"""Images of the backlog are added to a transaction up to this size; a larger one takes milliseconds longer."""
_GUARD_BYTES = 256


class StoreState(msgspec.Struct, frozen=True):
    """The stored state that a transaction is planned on; valid for one head revision.

    `trimmed_through` is the highest seq deleted from the outbox; `orphaned_parts` tells whether there are parts of a
    staged commit that was given up.
    """

    keys: ShardKeys
    limits: Limits
    backlog: Backlog
    trimmed_through: int
    orphaned_parts: bool = False


class Plan(msgspec.Struct, frozen=True):
    """Requests to send one after the other, each once its predecessor succeeded; the last one writes `head`.

    `deletes_orphaned_parts`: no parts of an abandoned staged commit are left afterwards.
    """

    steps: tuple[Any, ...]
    head: Head
    epoch: int
    effect: Effect
    deletes_orphaned_parts: bool


class TransactionBuilder:
    """The operations of one transaction that writes `head`, and what is left of its budget."""

    def __init__(self, state: StoreState, head: Head, epoch: int) -> None:
        self._state = state
        self._head = head
        self._epoch = epoch
        self._operations: list[Any] = []
        self._size_bytes = _GUARD_BYTES + len(encode_head(head))

    def room(self, *, beside: int) -> int:
        """Return how many operations are left for entities when `beside` others are still to be added."""
        return max(0, self._state.limits.operations_max - len(self._operations) - beside)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a key."""
        self._operations.append(requests.put(key, value))
        self._size_bytes += len(key) + len(value) + requests.OPERATION_OVERHEAD_BYTES

    def delete(self, key: bytes) -> None:
        """Delete a key."""
        self._operations.append(requests.delete(key))
        self._size_bytes += len(key) + requests.OPERATION_OVERHEAD_BYTES

    def delete_range(self, start: bytes, end: bytes) -> None:
        """Delete [start, end)."""
        self._operations.append(requests.delete_range(start, end))
        self._size_bytes += len(start) + len(end) + requests.OPERATION_OVERHEAD_BYTES

    def write(self, images: Sequence[Image]) -> None:
        """Put or delete the keys of these entities."""
        for image in images:
            key = self._state.keys.entity(image.key)
            if image.value is None:
                self.delete(key)
            else:
                self.put(key, image.value)

    def add_audit(self, entry: AuditEntry | None) -> None:
        """Add an entry, if there is one, to the audit log."""
        if entry is not None:
            self.put(audit_key(self._state.keys, entry), encode_audit(entry))

    def trim(self) -> None:
        """Delete the outbox entries up to `announced_seq`, with their parts."""
        if self._head.announced_seq > self._state.trimmed_through:
            outbox = self._state.keys.outbox
            self.delete_range(outbox, numbered(outbox, self._head.announced_seq + 1))

    def delete_orphaned_parts(self, seq: int, *, entry_parts: int, delta_parts: int) -> None:
        """Delete the parts under `seq` beyond those that this commit has; keys of frames are not in the range."""
        for folder, parts in ((self._state.keys.outbox, entry_parts), (self._state.keys.delta, delta_parts)):
            self.delete_range(numbered(folder, seq, parts + 1), numbered(folder, seq + 1))

    def build(
        self,
        expected_revision: int,
        *,
        superseded: Sequence[Image],
        delta: Delta | None,
        deletes_orphaned_parts: bool = True,
    ) -> Plan:
        """Spend the remaining budget on the backlog, write head, and put everything under the guard.

        `superseded` are the images that this commit writes itself or leaves in `delta`.
        """
        materialised = self._materialise(frozenset(image.key for image in superseded))
        settled = tuple(image.key for image in (*superseded, *materialised))
        through = self._state.backlog.droppable_through(settled)
        if through is not None:
            folder = self._state.keys.delta
            self.delete_range(folder, numbered(folder, through + 1))
        effect = Effect(settled, delta, through)
        head = msgspec.structs.replace(self._head, pending=self._state.backlog.pending_after(effect))
        self.put(self._state.keys.head, encode_head(head))
        request = requests.guarded(
            self._state.keys, self._operations, expected_revision=expected_revision, epoch=self._epoch
        )
        return Plan((request,), head, self._epoch, effect, deletes_orphaned_parts)

    def _materialise(self, own: frozenset[str]) -> tuple[Image, ...]:
        """Write the oldest images of the backlog: at least one, however large, so that the backlog shrinks.

        Two operations are still to be added: the deletion of deltas, and head.
        """
        materialised: list[Image] = []
        room = self.room(beside=2)
        limits = self._state.limits
        hard_bytes_max = limits.request_bytes_max - _GUARD_BYTES
        for image in self._state.backlog.oldest(without=own):
            grown_bytes = self._size_bytes + _size_of(image, self._state.keys)
            ceiling_bytes = min(SOFT_BYTES_MAX, hard_bytes_max) if materialised else hard_bytes_max
            if not materialised and limits.exceeded_by_image(image) and self._size_bytes <= limits.part_bytes_max:
                ceiling_bytes = (
                    grown_bytes  # the limit was lowered while the image waited: no later request has more room
                )
            if len(materialised) >= room or grown_bytes > ceiling_bytes:
                break
            self.write((image,))
            materialised.append(image)
        return tuple(materialised)


def _size_of(image: Image, keys: ShardKeys) -> int:
    return len(keys.state) + len(image.key.encode()) + len(image.value or b"") + requests.OPERATION_OVERHEAD_BYTES
