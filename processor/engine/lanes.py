"""How much of each lane goes into the next batch: high first, and a guard so that normal never starves. Pure."""

import msgspec

from processor.engine.limits import Limits


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
