"""From a commit to the requests that make it. Pure: nothing is sent here.

**The guarded transaction.** Every write to a shard is one etcd transaction under the same two compares:

    if   mod_revision(head) == expected and create_revision(owner) == epoch
    then put and delete entities, put head, put outbox/<seq>, delete outbox/[0, announced_seq]
    else get head, get owner

Each of them writes `head`, so the first compare holds for one of two competing transactions only, and a copy that
arrives late fails. The second one fences: an owner that lost its lease has another epoch than the owner key. `inflight`
relies on both when it sends identical bytes again.

**Overflow.** A request has a limit of operations. Entities that exceed it are left as images in `delta/<seq>`, and
later transactions write them to their keys (materialise; see `backlog`). `delta` and `head` are written together, so a
reader that merges deltas never sees half a commit. While deltas exist, 1 in RESERVED_SHARE operations serves the
backlog, and all of them once the backlog exceeds its limit.

**Staged commits.** A request has a limit of bytes, too. A larger commit is sent in parts, `delta/<seq>/<n>` and
`outbox/<seq>/<n>`, each in a transaction under the same compares that leaves `head` alone. A last transaction writes
the frames, which say how many parts belong to them, and `head`. Until then no reader looks at the parts. Invariants:

* parts are sent in order, each after the previous one succeeded; `head` comes last and makes them valid;
* sending any of the requests again is harmless, and a late copy can never follow a newer head;
* parts of a commit that was given up (orphaned parts) have the seq of the next commit. If that one is staged, it
  deletes the parts beyond its own in its *last* transaction: a deletion sent ahead of the parts could arrive again
  after them. Otherwise its only transaction deletes them all.

The store (`EtcdStore`) relies on `Plan.effect`: what the backlog is once the last request has succeeded.
"""

from collections.abc import Sequence

from processor.engine.announcements import OutboxEntry
from processor.engine.errors import InvalidRequest
from processor.engine.values import Commit, Image, TrimRequest
from processor.etcd import requests
from processor.etcd.backlog import Delta
from processor.etcd.builder import Plan, StoreState, TransactionBuilder
from processor.etcd.layout import numbered, pack_delta, pack_entry, pack_staged_delta, pack_staged_entry

RESERVED_SHARE = 4
"""While deltas exist, 1 in RESERVED_SHARE operations is reserved for them."""
FIXED_OPERATIONS_MAX = 8
"""head, outbox, trimming the outbox, delta, deleting deltas, attempts, orphaned parts of either kind."""


def plan_commit(commit: Commit, state: StoreState) -> Plan:
    """Return the requests for a commit of any size. Raises InvalidRequest if its head and record exceed a request.

    An entity above the limit was stored before the limit was lowered: the request that writes its key may be larger
    by its size, and the server decides.
    """
    allowed = state.limits.request_bytes_max + sum(
        [len(image.value or b"") for image in commit.images if state.limits.exceeded_by_image(image)]
    )
    plan = _plan_whole(commit, state)
    if plan.steps[0].ByteSize() <= allowed:
        return plan
    plan = _plan_staged(commit, state)
    if plan.steps[-1].ByteSize() > allowed:
        raise InvalidRequest(f"head and commit record of seq {commit.head.seq} exceed a request, even staged")
    return plan


def plan_trim(trimming: TrimRequest, state: StoreState) -> Plan | None:
    """Return the transaction that trims and materialises; None when there is nothing to do."""
    trims = trimming.head.announced_seq > state.trimmed_through
    if not (trims or trimming.scanned_further or state.backlog.commits):
        return None
    transaction = TransactionBuilder(state, trimming.head, trimming.epoch)
    transaction.trim()
    transaction.add_audit(trimming.audit)
    return transaction.build(
        trimming.expected_revision, superseded=(), delta=None, deletes_orphaned_parts=not state.orphaned_parts
    )


def _plan_whole(commit: Commit, state: StoreState) -> Plan:
    transaction = TransactionBuilder(state, commit.head, commit.epoch)
    transaction.trim()
    if commit.outbox is not None:
        transaction.put(numbered(state.keys.outbox, commit.head.seq), pack_entry(commit.outbox))
    if commit.clear_attempts:
        transaction.delete(state.keys.attempts)
    transaction.add_audit(commit.audit)
    if state.orphaned_parts:
        transaction.delete_orphaned_parts(commit.head.seq, entry_parts=0, delta_parts=0)
    # Three operations are still to be added: the delta, the deletion of deltas, head.
    direct, surplus = _divide(commit.images, state, _direct_room(transaction.room(beside=3), state))
    transaction.write(direct)
    delta = None
    if surplus:
        packed = pack_delta(surplus)
        transaction.put(numbered(state.keys.delta, commit.head.seq), packed)
        delta = Delta(commit.head.seq, len(packed), surplus)
    return transaction.build(commit.expected_revision, superseded=commit.images, delta=delta)


def _direct_room(room: int, state: StoreState) -> int:
    """Return how many of the commit's own entities are written to their keys, given `room` operations."""
    reserved = room if state.limits.exceeded_by_backlog(state.backlog) else max(1, room // RESERVED_SHARE)
    return max(0, room - min(state.backlog.pending, reserved))


def _divide(images: Sequence[Image], state: StoreState, room: int) -> tuple[tuple[Image, ...], tuple[Image, ...]]:
    """Return the images to write to their keys and those to leave in a delta."""
    tombstones = tuple(image for image in images if image.value is None and state.backlog.mentions(image.key))
    kept = {image.key for image in tombstones}
    free = [image for image in images if image.key not in kept]
    free.sort(key=state.limits.exceeded_by_image, reverse=True)  # no later transaction has room for them
    return tuple(free[:room]), tuple(free[room:]) + tombstones


def _plan_staged(commit: Commit, state: StoreState) -> Plan:
    seq, keys = commit.head.seq, state.keys
    oversized = tuple(image for image in commit.images if state.limits.exceeded_by_image(image))
    images = tuple(image for image in commit.images if image not in oversized) if oversized else commit.images
    delta_frame, delta_parts = pack_staged_delta(images, part_bytes_max=state.limits.part_bytes_max)
    entry_frame, entry_parts = _staged_entry(commit.outbox, state, delta_parts=len(delta_parts))
    parts = [(numbered(keys.delta, seq, number), part) for number, part in enumerate(delta_parts, start=1)]
    parts += [(numbered(keys.outbox, seq, number), part) for number, part in enumerate(entry_parts, start=1)]
    transaction = TransactionBuilder(state, commit.head, commit.epoch)
    transaction.trim()
    transaction.delete_orphaned_parts(seq, entry_parts=len(entry_parts), delta_parts=len(delta_parts))
    if commit.clear_attempts:
        transaction.delete(keys.attempts)
    transaction.add_audit(commit.audit)
    if entry_frame is not None:
        transaction.put(numbered(keys.outbox, seq), entry_frame)
    transaction.write(oversized)
    delta = None
    if images:
        transaction.put(numbered(keys.delta, seq), delta_frame)
        delta = Delta(seq, len(delta_frame) + sum(map(len, delta_parts)), images)
    last = transaction.build(commit.expected_revision, superseded=commit.images, delta=delta)
    staged = tuple(
        requests.guarded(keys, [requests.put(*part)], expected_revision=commit.expected_revision, epoch=commit.epoch)
        for part in parts
    )
    return Plan(staged + last.steps, last.head, last.epoch, last.effect, last.deletes_orphaned_parts)


def _staged_entry(
    entry: OutboxEntry | None, state: StoreState, *, delta_parts: int
) -> tuple[bytes | None, list[bytes]]:
    if entry is None:
        return None, []
    return pack_staged_entry(entry, part_bytes_max=state.limits.part_bytes_max, delta_parts=delta_parts)
