"""The two lanes drained into batches: high first, in a recorded order, and a guard so that normal never starves."""

from collections import deque

import msgspec

from processor.engine.inputs import HIGH, NORMAL, Decoded, LaneName, Positions, Record
from processor.engine.limits import Limits
from processor.engine.ports import Clock, Source

LEARNING_WEIGHT = 0.2
TELLING_EVENTS = 100


class Waiting(msgspec.Struct, frozen=True):
    """What is here to be taken: records of each lane, and how long normal ones have seen no progress."""

    high: int
    normal: int
    normal_wait_ms: float = 0.0


class Allotment(msgspec.Struct, frozen=True):
    """How many records of each lane the batch takes; `guard`: the share for normal was reserved."""

    high: int
    normal: int
    guard: bool = False


def allot(waiting: Waiting, *, high_batches: int, slice_events: int, limits: Limits) -> Allotment:
    """Return the allotment of the next batch.

    `high_batches` counts the successive batches that took no normal record while some waited (`count_high_batches`);
    `slice_events` is what `normal_slice_ms` of work is worth in records.
    """
    reserved = _reserved(waiting, high_batches, limits)
    high = min(waiting.high, limits.batch_events_max - reserved)
    room = limits.batch_events_max - high
    normal = min(waiting.normal, max(reserved, min(room, max(1, slice_events))), room)
    return Allotment(high, normal, guard=reserved > 0 and high < waiting.high)


def count_high_batches(high_batches: int, waiting: Waiting, allotment: Allotment) -> int:
    """Return the count after this batch."""
    return high_batches + 1 if waiting.normal and not allotment.normal else 0


def _reserved(waiting: Waiting, high_batches: int, limits: Limits) -> int:
    starving = high_batches >= limits.high_batches_max or waiting.normal_wait_ms >= limits.normal_wait_max_ms
    if not (starving and waiting.normal and limits.normal_share > 0):
        return 0
    share = max(1, int(limits.batch_events_max * limits.normal_share))
    return min(waiting.normal, share, limits.batch_events_max)


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Records in the order in which they are reduced, `high` of them first; `decoded` goes in step, or is empty.

    It may be cut anywhere: `rest` is then the next batch. `limit`: the most events of it in the next commit (0: no
    such limit). `overtook`: how many high records went before normal ones that were waiting. `guard`: the share of the
    normal lane was reserved. `poll_s` and `decode_s` are the seconds that taking and decoding took.
    """

    records: tuple[Record, ...]
    decoded: tuple[Decoded, ...] = ()
    high: int = 0
    overtook: int = 0
    guard: bool = False
    limit: int = 0
    poll_s: float = 0.0
    decode_s: float = 0.0

    def __len__(self) -> int:
        return len(self.records)

    def rest(self, count: int) -> "Batch | None":
        """Return what is left after the first `count` events, None when nothing is."""
        if count >= len(self.records):
            return None
        return Batch(records=self.records[count:], decoded=self.decoded[count:], guard=self.guard)

    def limited(self, limit: int) -> "Batch":
        """Return the same batch, to be cut after `limit` events."""
        return msgspec.structs.replace(self, limit=limit)

    def with_first(self, decoded: Decoded) -> "Batch":
        """Return the batch with its first event replaced, to be cut after it."""
        return msgspec.structs.replace(self, decoded=(decoded, *self.decoded[1:]), limit=1)


class Intake:
    """Holds what was fetched but not taken yet; forgets it on `rewind`."""

    def __init__(self, source: Source, *, limits: Limits, clock: Clock) -> None:
        self._source = source
        self._limits = limits
        self._clock = clock
        self._buffers: dict[LaneName, deque[Record]] = {HIGH: deque(), NORMAL: deque()}
        self._full: set[LaneName] = set()
        self._high_batches = 0
        self._normal_since_s = clock.monotonic_s()
        self._event_ms = 0.05

    def rewind(self, positions: Positions) -> None:
        """Read again from these positions; what was fetched is dropped."""
        for buffer in self._buffers.values():
            buffer.clear()
        self._full.clear()
        self._high_batches = 0
        self._source.assign(positions)

    def take(self, limit: int | None = None) -> Batch | None:
        """Return the next batch, of at most `limit` records, nothing decoded; None when nothing waits."""
        waiting = self._look()
        if not (waiting.high or waiting.normal):
            return None
        limits = self._limits if limit is None else msgspec.structs.replace(self._limits, batch_events_max=limit)
        share = allot(waiting, high_batches=self._high_batches, slice_events=self._slice_events(), limits=limits)
        high = self._pop(HIGH, share.high)
        # high records that are too large for one batch still come before normal ones
        normal = self._pop(NORMAL, share.normal) if share.guard or len(high) == share.high else []
        allotted = Allotment(len(high), len(normal), share.guard)
        self._high_batches = count_high_batches(self._high_batches, waiting, allotted)
        if normal:
            self._normal_since_s = self._clock.monotonic_s()
        overtook = len(high) if waiting.normal else 0
        return Batch(records=(*high, *normal), high=len(high), overtook=overtook, guard=share.guard)

    def wait(self, timeout_ms: int) -> None:
        """Wait for a high record, at most this long."""
        self._source.wait(timeout_ms)

    def learn(self, *, events: int, work_ms: float) -> None:
        """Note what a batch cost, so that a normal slice is the right number of records.

        A small batch tells little: most of its cost is not its events', and slices that shrink with it would never
        grow again.
        """
        if events:
            weight = LEARNING_WEIGHT * min(1.0, events / TELLING_EVENTS)
            self._event_ms += weight * (work_ms / events - self._event_ms)

    def _look(self) -> Waiting:
        empty_before = not self._buffers[NORMAL]
        for lane, buffer in self._buffers.items():
            missing = self._limits.batch_events_max - len(buffer)
            if missing > 0 and lane not in self._full:
                buffer.extend(self._source.take(lane, missing))
        now_s = self._clock.monotonic_s()
        if empty_before:
            self._normal_since_s = now_s
        waited_ms = (now_s - self._normal_since_s) * 1000
        return Waiting(len(self._buffers[HIGH]), len(self._buffers[NORMAL]), waited_ms)

    def _slice_events(self) -> int:
        return int(self._limits.normal_slice_ms / max(self._event_ms, 0.001))

    def _pop(self, lane: LaneName, count: int) -> list[Record]:
        """Return the lane's next records; while they are too large for one batch, no more are fetched."""
        buffer, bytes_max = self._buffers[lane], self._limits.batch_bytes_max
        records: list[Record] = []
        size = 0
        while len(records) < count and size < bytes_max:
            record = buffer.popleft()
            records.append(record)
            if record.value is not None:
                size += len(record.value)
            for _, content in record.headers:
                if content is not None:
                    size += len(content)
        if len(records) < count:
            self._full.add(lane)
        else:
            self._full.discard(lane)
        return records
