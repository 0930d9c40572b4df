"""From a commit to the requests that make it. Pure: nothing is sent here.

    if   mod_revision(head) == expected and create_revision(owner) == epoch
    then put and delete entities, put head, put outbox/<seq>, delete outbox/[0, announced_seq]
    else get head, get owner

What exceeds the operations goes into `delta/<seq>`; what exceeds the bytes is staged: parts first, in transactions
under the same compares that leave head alone, and a last one that writes head and makes them true. Resending any of
them is harmless, and a late copy can never follow a newer head. A staged commit removes what an abandoned one may have
left beyond its own parts in its last transaction: a deletion sent ahead of the parts could arrive again after them.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from processor.engine.announcements import OutboxEntry
from processor.engine.errors import InvalidRequest
from processor.engine.values import AuditEntry, Commit, Head, Image, TrimRequest
from processor.etcd import requests
from processor.etcd.backlog import Backlog, Delta, Effect
from processor.etcd.layout import (
    ShardKeys,
    audit_key,
    encode_audit,
    encode_head,
    numbered,
    pack_delta,
    pack_entry,
    pack_staged_delta,
    pack_staged_entry,
)

RESERVED_SHARE = 4
"""While deltas exist, one in so many operations is kept for them."""
FIXED_OPERATIONS_MAX = 8
"""head, outbox, its trimming, delta, its deletion, attempts, leftovers of either kind."""
SOFT_BYTES_MAX = 128 * 1024
"""Entity keys that follow are added to a transaction up to this size: above it, it costs milliseconds."""
STAGE_PART_BYTES_MAX = 512 * 1024
_GUARD_BYTES = 256


class Limits(msgspec.Struct, frozen=True):
    """What a request may hold, and beyond which backlog (in deltas, in bytes) all operations serve the backlog."""

    operations_max: int = 128
    request_bytes_max: int = 1_441_792
    delta_commits_max: int = 64
    delta_bytes_max: int = 16 * 1024 * 1024

    @property
    def part_bytes_max(self) -> int:
        """The size of a part; the last transaction of a staged commit may hold one of either kind."""
        return min(STAGE_PART_BYTES_MAX, self.request_bytes_max // 4)

    @property
    def value_bytes_max(self) -> int:
        """The largest entity: it must fit into a transaction beside a head."""
        return self.request_bytes_max * 3 // 4

    def are_passed_by_size_of(self, image: Image) -> bool:
        """Tell whether an image is larger than an entity may be."""
        return image.value is not None and len(image.value) > self.value_bytes_max

    def are_passed_by(self, backlog: Backlog) -> bool:
        """Tell whether the backlog has grown so far that a batch has to wait for it."""
        return backlog.commits >= self.delta_commits_max or backlog.size_bytes >= self.delta_bytes_max


class Ground(msgspec.Struct, frozen=True):
    """What a transaction builds upon: the deltas there are, how far the outbox is trimmed, whether parts lie about."""

    keys: ShardKeys
    limits: Limits
    backlog: Backlog
    trimmed_through: int
    leftovers: bool = False


class Plan(msgspec.Struct, frozen=True):
    """Requests to be sent one after the other, each after the former's success; the last one writes `head`.

    `sweeps`: no parts of an abandoned staged commit are left afterwards.
    """

    steps: tuple[Any, ...]
    head: Head
    epoch: int
    effect: Effect
    sweeps: bool


def plan_commit(commit: Commit, ground: Ground) -> Plan:
    """Return how to make a commit of any size. Raises InvalidRequest for one that fits into no transaction.

    An entity that is larger than it may be stands there already, since the limit was lowered: the request that writes
    its key is as large as that takes, and the server has the last word.
    """
    allowed = ground.limits.request_bytes_max + sum(
        [len(image.value or b"") for image in commit.images if ground.limits.are_passed_by_size_of(image)]
    )
    plan = _plan_whole(commit, ground)
    if plan.steps[0].ByteSize() <= allowed:
        return plan
    plan = _plan_staged(commit, ground)
    if plan.steps[-1].ByteSize() > allowed:
        raise InvalidRequest(f"head and commit record of seq {commit.head.seq} exceed a request, even staged")
    return plan


def plan_trim(trimming: TrimRequest, ground: Ground) -> Plan | None:
    """Return the transaction that trims and materialises; None when there is nothing to do."""
    trims = trimming.head.announced_seq > ground.trimmed_through
    if not (trims or trimming.scanned_further or ground.backlog.commits):
        return None
    draft = _Draft(ground, trimming.head, trimming.epoch)
    draft.trim()
    draft.note(trimming.audit)
    return draft.finished(trimming.expected_revision, superseded=(), delta=None, sweeps=not ground.leftovers)


def _plan_whole(commit: Commit, ground: Ground) -> Plan:
    draft = _Draft(ground, commit.head, commit.epoch)
    draft.trim()
    if commit.outbox is not None:
        draft.put(numbered(ground.keys.outbox, commit.head.seq), pack_entry(commit.outbox))
    if commit.clear_attempts:
        draft.delete(ground.keys.attempts)
    draft.note(commit.audit)
    if ground.leftovers:
        draft.sweep(commit.head.seq, entry_parts=0, delta_parts=0)
    # Still to come: the delta, the deletion of deltas, head.
    direct, surplus = _divide(commit.images, ground, _direct_room(draft.room(beside=3), ground))
    draft.write(direct)
    delta = None
    if surplus:
        packed = pack_delta(surplus)
        draft.put(numbered(ground.keys.delta, commit.head.seq), packed)
        delta = Delta(commit.head.seq, len(packed), surplus)
    return draft.finished(commit.expected_revision, superseded=commit.images, delta=delta)


def _direct_room(room: int, ground: Ground) -> int:
    """Return how many of a commit's own entities go to their keys at once, given room for so many operations."""
    reserved = room if ground.limits.are_passed_by(ground.backlog) else max(1, room // RESERVED_SHARE)
    return max(0, room - min(ground.backlog.pending, reserved))


def _divide(images: Sequence[Image], ground: Ground, room: int) -> tuple[tuple[Image, ...], tuple[Image, ...]]:
    """Return the images to write to their keys and those to leave in a delta."""
    tombstones = tuple(image for image in images if image.value is None and ground.backlog.mentions(image.key))
    kept = {image.key for image in tombstones}
    free = [image for image in images if image.key not in kept]
    free.sort(key=ground.limits.are_passed_by_size_of, reverse=True)  # no later transaction has room for them
    return tuple(free[:room]), tuple(free[room:]) + tombstones


def _plan_staged(commit: Commit, ground: Ground) -> Plan:
    seq, keys = commit.head.seq, ground.keys
    oversized = tuple(image for image in commit.images if ground.limits.are_passed_by_size_of(image))
    images = tuple(image for image in commit.images if image not in oversized) if oversized else commit.images
    delta_frame, delta_parts = pack_staged_delta(images, part_bytes_max=ground.limits.part_bytes_max)
    entry_frame, entry_parts = _staged_entry(commit.outbox, ground, delta_parts=len(delta_parts))
    parts = [(numbered(keys.delta, seq, number), part) for number, part in enumerate(delta_parts, start=1)]
    parts += [(numbered(keys.outbox, seq, number), part) for number, part in enumerate(entry_parts, start=1)]
    draft = _Draft(ground, commit.head, commit.epoch)
    draft.trim()
    draft.sweep(seq, entry_parts=len(entry_parts), delta_parts=len(delta_parts))
    if commit.clear_attempts:
        draft.delete(keys.attempts)
    draft.note(commit.audit)
    if entry_frame is not None:
        draft.put(numbered(keys.outbox, seq), entry_frame)
    draft.write(oversized)
    delta = None
    if images:
        draft.put(numbered(keys.delta, seq), delta_frame)
        delta = Delta(seq, len(delta_frame) + sum(map(len, delta_parts)), images)
    last = draft.finished(commit.expected_revision, superseded=commit.images, delta=delta)
    staged = tuple(
        requests.guarded(keys, [requests.put(*part)], expected_revision=commit.expected_revision, epoch=commit.epoch)
        for part in parts
    )
    return Plan(staged + last.steps, last.head, last.epoch, last.effect, last.sweeps)


def _staged_entry(entry: OutboxEntry | None, ground: Ground, *, delta_parts: int) -> tuple[bytes | None, list[bytes]]:
    if entry is None:
        return None, []
    return pack_staged_entry(entry, part_bytes_max=ground.limits.part_bytes_max, delta_parts=delta_parts)


class _Draft:
    """The operations of one transaction that writes `head`, and what is left of its budget."""

    def __init__(self, ground: Ground, head: Head, epoch: int) -> None:
        self._ground = ground
        self._head = head
        self._epoch = epoch
        self._operations: list[Any] = []
        self._size_bytes = _GUARD_BYTES + len(encode_head(head))

    def room(self, *, beside: int) -> int:
        """Return how many operations are left for entities when so many others are still to come."""
        return max(0, self._ground.limits.operations_max - len(self._operations) - beside)

    def put(self, key: bytes, value: bytes) -> None:
        self._operations.append(requests.put(key, value))
        self._size_bytes += len(key) + len(value) + requests.OPERATION_OVERHEAD_BYTES

    def delete(self, key: bytes) -> None:
        self._operations.append(requests.delete(key))
        self._size_bytes += len(key) + requests.OPERATION_OVERHEAD_BYTES

    def delete_range(self, start: bytes, end: bytes) -> None:
        self._operations.append(requests.delete_range(start, end))
        self._size_bytes += len(start) + len(end) + requests.OPERATION_OVERHEAD_BYTES

    def write(self, images: Sequence[Image]) -> None:
        """Bring entity keys to these images."""
        for image in images:
            key = self._ground.keys.entity(image.key)
            if image.value is None:
                self.delete(key)
            else:
                self.put(key, image.value)

    def note(self, entry: AuditEntry | None) -> None:
        """Add what there is to the audit log."""
        if entry is not None:
            self.put(audit_key(self._ground.keys, entry), encode_audit(entry))

    def trim(self) -> None:
        """Delete what the outbox still has up to `announced_seq`, parts included."""
        if self._head.announced_seq > self._ground.trimmed_through:
            outbox = self._ground.keys.outbox
            self.delete_range(outbox, numbered(outbox, self._head.announced_seq + 1))

    def sweep(self, seq: int, *, entry_parts: int, delta_parts: int) -> None:
        """Delete the parts under `seq` beyond those that this commit has; bare keys stay out."""
        for folder, parts in ((self._ground.keys.outbox, entry_parts), (self._ground.keys.delta, delta_parts)):
            self.delete_range(numbered(folder, seq, parts + 1), numbered(folder, seq + 1))

    def finished(
        self, expected_revision: int, *, superseded: Sequence[Image], delta: Delta | None, sweeps: bool = True
    ) -> Plan:
        """Use what is left of the budget for the backlog, write head, and put the guard around it all."""
        followed = self._follow(frozenset(image.key for image in superseded))
        settled = tuple(image.key for image in (*superseded, *followed))
        through = self._ground.backlog.droppable_through(settled)
        if through is not None:
            folder = self._ground.keys.delta
            self.delete_range(folder, numbered(folder, through + 1))
        effect = Effect(settled, delta, through)
        head = msgspec.structs.replace(self._head, pending=self._ground.backlog.pending_after(effect))
        self.put(self._ground.keys.head, encode_head(head))
        request = requests.guarded(
            self._ground.keys, self._operations, expected_revision=expected_revision, epoch=self._epoch
        )
        return Plan((request,), head, self._epoch, effect, sweeps)

    def _follow(self, own: frozenset[str]) -> tuple[Image, ...]:
        """Write the oldest of the backlog; of what is large, one at least, so that the backlog shrinks.

        Still to come are the deletion of deltas and head.
        """
        followed: list[Image] = []
        room = self.room(beside=2)
        limits = self._ground.limits
        hard_bytes_max = limits.request_bytes_max - _GUARD_BYTES
        for image in self._ground.backlog.oldest(without=own):
            grown_bytes = self._size_bytes + _size_of(image, self._ground.keys)
            ceiling_bytes = min(SOFT_BYTES_MAX, hard_bytes_max) if followed else hard_bytes_max
            if not followed and limits.are_passed_by_size_of(image) and self._size_bytes <= limits.part_bytes_max:
                ceiling_bytes = grown_bytes  # the limit was lowered while it waited: nothing else would ever make room
            if len(followed) >= room or grown_bytes > ceiling_bytes:
                break
            self.write((image,))
            followed.append(image)
        return tuple(followed)


def _size_of(image: Image, keys: ShardKeys) -> int:
    return len(keys.state) + len(image.key.encode()) + len(image.value or b"") + requests.OPERATION_OVERHEAD_BYTES
