"""From waiting records to a reduced, encoded batch: everything of a step that needs no answer from the store.

Speculation. While the transaction of commit n is under way, batch n+1 is reduced on the state that n leads to, so that
the store's latency is spent on work. `Tip` is where that ends: the newest state, committed or sent, the positions
behind it, and what is not in the store yet.

* At most one commit is under way, so the tip is at most one batch ahead of what is known to be committed (`Committer`).
* `Images` holds encoded entities of the committed state only. `Tip.encoded` is the encoded batch that is under way:
  `Images.encode(..., on=tip.encoded)` looks there first for the value before a change, so that each change is encoded
  once and the digest runs on, while `Images` itself is untouched if the commit fails.
* Nothing built on the tip leaves the process before the commit under way is known: outcomes, breaker, crash counter,
  reports and the publisher see a batch when it is committed. A conflict drops tip and batches, and the lanes are
  rewound to the head's positions, so nothing is lost and nothing counted twice.
* Batches that changed nothing need no commit. They wait in `Tip.uncommitted_no_ops`, their ranges and outcomes go
  before those of the next commit, and they share its size limits, which are recorded once a commit. After a crash they
  are read again, which is harmless.

A batch is cut where one commit ends: at the store's entities, at its bytes, at the largest record. Cutting is always
safe, because the state machine reduces the same events to the same states wherever batches end; the rest is the next
batch, before anything new is taken.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from processor.engine.announcements import OutcomeRun
from processor.engine.compose import UnstampedCommit
from processor.engine.errors import ShardRefused
from processor.engine.images import Encoded, Images
from processor.engine.inputs import Decoded, Positions, Range, Record, Undecodable
from processor.engine.intake import Batch, Intake
from processor.engine.parts import Parts
from processor.engine.positions import advanced, joined, ranges_of, runs_of
from processor.engine.reduction import Reduction, reduce_batch
from processor.engine.reports import PhaseSeconds
from processor.engine.sizes import UNLIMITED, SizeCheck, SizeLimits, size_limits

OUTCOMES_PER_RANGE = 4
"""This many runs of outcomes weigh as much in a commit record as one range."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A reduced batch: `reduction` is what its first events did, `commit` what commits them."""

    batch: Batch
    reduction: Reduction
    commit: UnstampedCommit
    seconds: PhaseSeconds

    @property
    def count(self) -> int:
        """How many events of the batch are in the commit."""
        return len(self.reduction.outcomes)


class Tip(msgspec.Struct, frozen=True):
    """The newest state, committed or sent; `encoded` is the batch that is sent and not known to be committed.

    `uncommitted_no_ops` are batches since then that changed nothing, the oldest taken up at `no_ops_since_s`.
    """

    state: Any
    positions: Positions
    encoded: Encoded | None = None
    uncommitted_no_ops: tuple[Prepared, ...] = ()
    no_ops_since_s: float = 0.0

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The ranges of the uncommitted no-ops."""
        return self.uncommitted_no_ops[-1].commit.ranges if self.uncommitted_no_ops else ()

    @property
    def outcomes(self) -> tuple[OutcomeRun, ...]:
        """The outcomes of the uncommitted no-ops."""
        return self.uncommitted_no_ops[-1].commit.outcomes if self.uncommitted_no_ops else ()

    @property
    def sizes(self) -> SizeLimits:
        """The limits that the uncommitted no-ops met."""
        return self.uncommitted_no_ops[-1].commit.sizes if self.uncommitted_no_ops else UNLIMITED

    @property
    def weight(self) -> int:
        """How much the uncommitted no-ops add to a commit record, in ranges."""
        return max(len(self.ranges), len(self.outcomes) // OUTCOMES_PER_RANGE)

    def with_no_op(self, prepared: Prepared, *, now_s: float) -> "Tip":
        """Return the tip behind a batch that changed nothing, which waits for the next commit."""
        return msgspec.structs.replace(
            self,
            positions=prepared.commit.positions,
            uncommitted_no_ops=(*self.uncommitted_no_ops, prepared),
            no_ops_since_s=self.no_ops_since_s if self.uncommitted_no_ops else now_s,
        )

    def no_ops_commit(self) -> UnstampedCommit:
        """Return a commit of the uncommitted no-ops alone."""
        return msgspec.structs.replace(self.uncommitted_no_ops[-1].commit, after=self.state, guard=False)


class Preparer:
    """Takes, decodes, reduces and encodes; keeps the rest of a batch that was cut."""

    def __init__(self, parts: Parts, intake: Intake) -> None:
        self._parts = parts
        self._intake = intake
        self._rest: Batch | None = None

    @property
    def has_rest(self) -> bool:
        """The rest of a cut batch waits to be the next."""
        return self._rest is not None

    def forget(self) -> None:
        """Drop the rest of a cut batch: the lanes are rewound."""
        self._rest = None

    def put_back(self, batch: Batch | None) -> None:
        """Make this the next batch, before anything new is taken."""
        self._rest = batch

    def take(self, *, one_at_a_time: bool) -> Batch | None:
        """Return the next batch, None when nothing waits; the rest of a cut one comes first.

        A record taken one at a time is not decoded: `admit` or `put_aside` follows. Not so one that is too large to be
        decoded ever, which needs no admission.
        """
        if self._rest is not None:
            batch, self._rest = self._rest, None
            return batch
        clock = self._parts.clock
        began_s = clock.monotonic_s()
        taken = self._intake.take(1 if one_at_a_time else None)
        polled_s = clock.monotonic_s()
        if taken is None:
            return None
        self._parts.callbacks.failpoint("after_take")
        decoded = self._too_large(taken.records[0]) if one_at_a_time else self._decode_all(taken.records)
        decode_s = clock.monotonic_s() - polled_s
        return msgspec.structs.replace(taken, decoded=decoded, poll_s=polled_s - began_s, decode_s=decode_s)

    def decoded(self, batch: Batch) -> Batch:
        """Return a batch that was taken one at a time with its record decoded."""
        return batch.with_first(self._decode_all(batch.records)[0])

    def put_aside(self, batch: Batch) -> Batch:
        """Return a batch that was taken one at a time with its record put aside: it was tried too often."""
        message = f"the process ended {self._parts.limits.crash_attempts_max - 1} times while it held this record"
        return batch.with_first(self._undecodable(batch.records[0], "process_crash", message))

    def prepare(self, batch: Batch, tip: Tip, images: Images) -> Prepared:
        """Reduce as much of the batch as one commit carries; the rest becomes the next batch."""
        clock = self._parts.clock
        began_s = clock.monotonic_s()
        limits = self._size_limits(tip)
        reduction = self._reduce(tip, batch.decoded[: batch.limit or len(batch)])
        reduced_s = clock.monotonic_s()
        reduction, encoded = self._encode_what_fits(batch, reduction, tip, images, limits)
        count = len(reduction.outcomes)
        self._rest = batch.rest(count)
        self._parts.callbacks.failpoint("after_reduce")
        if reduction.dead:
            self._parts.callbacks.failpoint("in_dead_letter")
        ended_s = clock.monotonic_s()
        self._intake.learn(events=count, work_ms=(ended_s - began_s + batch.decode_s) * 1000)
        return Prepared(
            batch=batch,
            reduction=reduction,
            commit=_commit(batch, reduction, encoded, tip, limits),
            seconds=PhaseSeconds(batch.poll_s, batch.decode_s, reduced_s - began_s, ended_s - reduced_s),
        )

    def shrink(self, prepared: Prepared | None) -> None:
        """Cut a batch whose commit is too large for the topics or the store, or put its only event aside.

        Raises ShardRefused where nothing is left to cut.
        """
        if prepared is None:
            raise ShardRefused("a record of this commit is larger than the output topics or the store take")
        batch, decoded = prepared.batch, prepared.batch.decoded[0]
        if prepared.count > 1:
            self._rest = batch.limited(prepared.count // 2)
            return
        if isinstance(decoded, Undecodable):
            raise ShardRefused("a dead letter is larger than the output topics take: raise max.message.bytes")
        message = (
            f"a record of its commit is larger than {self._parts.sink.record_bytes_max()} bytes, or an entity than the "
            "store takes: raise max.message.bytes of the output topics, or etcd.request_bytes_max"
        )
        self._rest = batch.with_first(Undecodable(decoded.cause, "transition_too_large", message))

    def _encode_what_fits(
        self, batch: Batch, reduction: Reduction, tip: Tip, images: Images, limits: SizeLimits
    ) -> tuple[Reduction, Encoded]:
        """Encode the reduction; where it is too large, reduce again.

        First with the size of each event's entities checked, if one of them may have to be refused; then half as many
        events at a time, until the commit's bytes fit.
        """
        events = batch.decoded[: batch.limit or len(batch)]
        encoded = images.encode(reduction.changes, on=tip.encoded)
        check = SizeCheck(self._parts.machine, self._parts.encoder, limits)
        sizes = check if check.may_refuse(encoded.sizes, tip.state, reduction.after) else None
        if sizes is not None:
            reduction = self._reduce(tip, events, sizes)
            encoded = images.encode(reduction.changes, on=tip.encoded)
        bytes_max = self._parts.store.capacity().bytes_max
        while len(reduction.outcomes) > 1 and encoded.bytes + _dead_bytes(batch, reduction) > bytes_max:
            reduction = self._reduce(tip, events[: len(reduction.outcomes) // 2], sizes)
            encoded = images.encode(reduction.changes, on=tip.encoded)
        return reduction, encoded

    def _reduce(self, tip: Tip, events: Sequence[Decoded], sizes: SizeCheck | None = None) -> Reduction:
        entities_max = self._parts.store.capacity().entities_max
        return reduce_batch(self._parts.machine, tip.state, events, entities_max=entities_max, sizes=sizes)

    def _size_limits(self, tip: Tip) -> SizeLimits:
        """Return the limits as they are now; those of uncommitted no-ops, which share the next commit, come first."""
        if tip.uncommitted_no_ops:
            return tip.sizes
        parts = self._parts
        value_bytes_max = parts.store.capacity().value_bytes_max
        return size_limits(record_bytes_max=parts.sink.record_bytes_max(), value_bytes_max=value_bytes_max)

    def _decode_all(self, records: Sequence[Record]) -> tuple[Decoded, ...]:
        decoded = tuple([self._decode(record) for record in records])
        self._parts.callbacks.failpoint("after_decode")
        return decoded

    def _decode(self, record: Record) -> Decoded:
        key = self._parts.cluster_key
        if key is not None and record.key is not None and record.key != key:
            return self._undecodable(record, "wrong_cluster", f"this partition holds cluster {key.decode()}")
        return self._parts.decoder.decode(record)

    def _undecodable(self, record: Record, code: str, message: str) -> Undecodable:
        """Return why a record is not decoded; one too large is that first: its dead letter is truncated."""
        why = self._parts.decoder.identify(record)
        return why if why.code else Undecodable(why.cause, code, message)

    def _too_large(self, record: Record) -> tuple[Decoded, ...]:
        """Return a record that can never be decoded as what it is, nothing for any other."""
        why = self._parts.decoder.identify(record)
        return (why,) if why.code else ()


def _commit(batch: Batch, reduction: Reduction, encoded: Encoded, tip: Tip, sizes: SizeLimits) -> UnstampedCommit:
    records = batch.records[: len(reduction.outcomes)]
    ranges = ranges_of(records, tip.positions)
    only = batch.decoded[0].cause if len(records) == 1 and not tip.ranges else None
    return UnstampedCommit(
        after=reduction.after,
        encoded=encoded,
        rejections=tuple(rejection for _, rejection in reduction.rejections),
        dead=tuple((batch.records[index], why) for index, why in reduction.dead),
        ranges=joined(tip.ranges, ranges),
        outcomes=runs_of(reduction.outcomes, after=tip.outcomes),
        positions=advanced(tip.positions, ranges),
        traceparent=only.traceparent if only else None,
        guard=batch.guard,
        sizes=sizes,
    )


def _dead_bytes(batch: Batch, reduction: Reduction) -> int:
    records = [batch.records[index] for index, _ in reduction.dead]
    return sum(len(record.value or b"") + sum(len(value or b"") for _, value in record.headers) for record in records)
