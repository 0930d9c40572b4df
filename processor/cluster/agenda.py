"""When things are due: a persistent map from key to time; the earliest and the past are found without a full scan."""

from typing import Final

from immutables import Map
from msgspec import Struct

_BUCKET_BITS: Final = 16
"""Times that differ only in the lowest 16 bits (about a minute) share a bucket."""


class Agenda(Struct, frozen=True, gc=False):
    """Key → time, and the same once more by bucket of time."""

    times: "Map[str, int]" = Map()
    buckets: "Map[int, Map[str, int]]" = Map()


def agenda_of(times: dict[str, int]) -> Agenda:
    """Build an agenda of many times at once."""
    buckets: dict[int, dict[str, int]] = {}
    for key, time in times.items():
        buckets.setdefault(time >> _BUCKET_BITS, {})[key] = time
    return Agenda(Map(times), Map({bucket: Map(keys) for bucket, keys in buckets.items()}))


def with_time(agenda: Agenda, key: str, time: int | None) -> Agenda:
    """Return the agenda with this key at this time, or without it; the same object if that is so already."""
    old = agenda.times.get(key)
    if old == time:
        return agenda
    times, buckets = agenda.times, agenda.buckets
    if old is not None:
        times, buckets = times.delete(key), _without(buckets, old >> _BUCKET_BITS, key)
    if time is not None:
        bucket = time >> _BUCKET_BITS
        times, buckets = times.set(key, time), buckets.set(bucket, buckets.get(bucket, Map()).set(key, time))
    return Agenda(times, buckets)


def earliest(agenda: Agenda) -> int | None:
    """Return the least time, None if there is none."""
    if not agenda.buckets:
        return None
    time: int = min(agenda.buckets[min(agenda.buckets)].values())
    return time


def due_by(agenda: Agenda, at_ms: int) -> list[str]:
    """Return the keys whose time has come, sorted."""
    last = at_ms >> _BUCKET_BITS
    reached = [bucket for bucket in agenda.buckets if bucket <= last]
    return sorted(key for bucket in reached for key, time in agenda.buckets[bucket].items() if time <= at_ms)


def _without(buckets: "Map[int, Map[str, int]]", bucket: int, key: str) -> "Map[int, Map[str, int]]":
    rest = buckets[bucket].delete(key)
    return buckets.set(bucket, rest) if rest else buckets.delete(bucket)
