"""From waiting records to a reduced, encoded batch: everything of a step that needs no answer from the store."""

from collections.abc import Sequence

import msgspec

from processor.engine.batch import Batch
from processor.engine.compose import UnstampedCommit
from processor.engine.errors import ShardRefused
from processor.engine.images import Encoded, Images
from processor.engine.inputs import Decoded, Record, Undecodable
from processor.engine.intake import Intake
from processor.engine.parts import Parts
from processor.engine.positions import advanced, joined, ranges_of, runs_of
from processor.engine.reduction import Reduction, reduce_batch
from processor.engine.reports import Reduced
from processor.engine.sizes import SizeCheck, SizeLimits, size_limits
from processor.engine.tip import Tip


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A reduced batch. `batch` is what was at hand, of which the first `count` events are in `draft`."""

    batch: Batch
    count: int
    draft: UnstampedCommit
    silent: bool
    reduced: Reduced
    seconds: dict[str, float]


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

    def take(self, *, limit: int | None = None) -> tuple[Batch | None, float, float]:
        """Return the next batch and the seconds spent polling and decoding; the rest of a cut one comes first."""
        clock = self._parts.clock
        if self._rest is not None:
            batch, self._rest = self._rest, None
            return batch, 0.0, 0.0
        began_s = clock.monotonic_s()
        taken = self._intake.take(limit)
        polled_s = clock.monotonic_s()
        if taken is None:
            return None, polled_s - began_s, 0.0
        self._parts.failpoint("after_take")
        decode = self._undecoded if limit else self._decode
        batch = Batch(
            records=taken.records,
            decoded=tuple([decode(record) for record in taken.records]),
            high=taken.high,
            overtook=taken.overtook,
            guard=taken.guard,
        )
        if not limit:
            self._parts.failpoint("after_decode")
        return batch, polled_s - began_s, clock.monotonic_s() - polled_s

    def judged(self, batch: Batch, *, tried_too_often: bool) -> Batch:
        """Return a carefully taken batch of one with its record decoded, or put aside undecoded."""
        record = batch.records[0]
        if tried_too_often:
            message = f"the process ended {self._parts.limits.crash_attempts_max - 1} times while it held this record"
            return batch.replaced(0, self._put_aside(record, "process_crash", message))
        decoded = self._decode(record)
        self._parts.failpoint("after_decode")
        return batch.replaced(0, decoded)

    def prepare(self, batch: Batch, tip: Tip, images: Images, *, polled_s: float, decoded_s: float) -> Prepared:
        """Reduce as much of the batch as one commit carries; the rest becomes the next batch."""
        clock = self._parts.clock
        began_s = clock.monotonic_s()
        limits = self._size_limits(tip)
        events = batch.decoded[: batch.limit or len(batch)]
        reduction = self._reduce(tip, events)
        reduced_s = clock.monotonic_s()
        encoded = images.encode(reduction.changes, on=tip.encoded)
        check = SizeCheck(self._parts.machine, self._parts.encoder, limits)
        careful = check if check.may_refuse(encoded.sizes, tip.state, reduction.after) else None
        if careful is not None:
            reduction = self._reduce(tip, events, careful)
            encoded = images.encode(reduction.changes, on=tip.encoded)
        bytes_max = self._parts.store.capacity().bytes_max
        while len(reduction.outcomes) > 1 and encoded.bytes + _dead_bytes(batch, reduction) > bytes_max:
            reduction = self._reduce(tip, events[: len(reduction.outcomes) // 2], careful)
            encoded = images.encode(reduction.changes, on=tip.encoded)
        count = len(reduction.outcomes)
        self._rest = batch.rest(count)
        self._parts.failpoint("after_reduce")
        if reduction.dead:
            self._parts.failpoint("in_dead_letter")
        ended_s = clock.monotonic_s()
        self._intake.learn(events=count, work_ms=(ended_s - began_s + decoded_s) * 1000)
        return Prepared(
            batch=batch,
            count=count,
            draft=_draft(batch, reduction, encoded, tip, limits),
            silent=reduction.silent,
            reduced=_reduced(batch, reduction),
            seconds={
                "poll": polled_s,
                "decode": decoded_s,
                "reduce": reduced_s - began_s,
                "encode": ended_s - reduced_s,
            },
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
        self._rest = batch.replaced(0, Undecodable(decoded.cause, "transition_too_large", message))

    def _reduce(self, tip: Tip, events: Sequence[Decoded], sizes: SizeCheck | None = None) -> Reduction:
        entities_max = self._parts.store.capacity().entities_max
        return reduce_batch(self._parts.machine, tip.state, events, entities_max=entities_max, sizes=sizes)

    def _size_limits(self, tip: Tip) -> SizeLimits:
        """Return the limits as they are now; those of what is carried, which goes into the same commit, come first."""
        if tip.carried.ranges:
            return tip.carried.sizes
        parts = self._parts
        value_bytes_max = parts.store.capacity().value_bytes_max
        return size_limits(record_bytes_max=parts.sink.record_bytes_max(), value_bytes_max=value_bytes_max)

    def _decode(self, record: Record) -> Decoded:
        key = self._parts.cluster_key
        if key is not None and record.key is not None and record.key != key:
            return self._put_aside(record, "wrong_cluster", f"this partition holds cluster {key.decode()}")
        return self._parts.decoder.decode(record)

    def _put_aside(self, record: Record, code: str, message: str) -> Undecodable:
        """Return why a record is put aside undecoded; one too large is that first: its dead letter is cut."""
        why = self._parts.decoder.identify(record)
        return why if why.code else Undecodable(why.cause, code, message)

    def _undecoded(self, record: Record) -> Decoded:
        return self._parts.decoder.identify(record)


def _draft(batch: Batch, reduction: Reduction, encoded: Encoded, tip: Tip, sizes: SizeLimits) -> UnstampedCommit:
    records = batch.records[: len(reduction.outcomes)]
    ranges = ranges_of(records, tip.positions)
    only = batch.decoded[0].cause if len(records) == 1 and not tip.carried.ranges else None
    return UnstampedCommit(
        after=reduction.after,
        encoded=encoded,
        rejections=tuple(rejection for _, rejection in reduction.rejections),
        dead=tuple((batch.records[index], why) for index, why in reduction.dead),
        ranges=joined(tip.carried.ranges, ranges),
        outcomes=runs_of(reduction.outcomes, after=tip.carried.outcomes),
        positions=advanced(tip.positions, ranges),
        traceparent=only.traceparent if only else None,
        guard=batch.guard,
        sizes=sizes,
    )


def _reduced(batch: Batch, reduction: Reduction) -> Reduced:
    whys = {index: (item.code, item.message) for index, item in reduction.rejections}
    whys |= {index: (item.code, item.message) for index, item in reduction.dead}
    return Reduced(batch.records, batch.decoded, reduction.outcomes, whys)


def _dead_bytes(batch: Batch, reduction: Reduction) -> int:
    records = [batch.records[index] for index, _ in reduction.dead]
    return sum(len(record.value or b"") + sum(len(value or b"") for _, value in record.headers) for record in records)
