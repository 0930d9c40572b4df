"""The two lanes drained into batches: high first, in a recorded order."""

from collections import deque

import msgspec

from processor.engine.inputs import Record
from processor.engine.lanes import Allotment, Waiting, allot, count_high_batches
from processor.engine.limits import Limits
from processor.engine.ports import Clock, Source
from processor.engine.values import HIGH, NORMAL, LaneName, Positions

LEARNING_WEIGHT = 0.2
TELLING_EVENTS = 100


class Taken(msgspec.Struct, frozen=True):
    """Records in the order in which they are reduced; `high` of them come first.

    `overtook`: how many high records went before normal ones that were waiting. `guard`: the share was reserved.
    """

    records: tuple[Record, ...]
    high: int = 0
    overtook: int = 0
    guard: bool = False


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

    def take(self, limit: int | None = None) -> Taken | None:
        """Return the next batch's records, None when nothing waits. `limit` 1 serves careful starts."""
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
        return Taken((*high, *normal), high=len(high), overtook=overtook, guard=share.guard)

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
