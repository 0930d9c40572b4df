"""Agenda: due times by key, persistent, with a cheap earliest time.

The state needs two: when failures are retried and when deleted entities are forgotten. Both change with single events,
and both are asked for the earliest time after every batch (`generator.due_ms`), so neither a scan of all times nor a
mutable heap will do: a state is immutable and shares structure with the one before.

The same times are therefore kept twice: key → time, and grouped in buckets of 2^16 ms. The earliest time is the least
in the lowest bucket, what is due lies in the buckets up to now. Both cost the number of buckets plus the size of a few,
not the number of keys: retries fall into the few buckets of the next minutes.

**Invariant.** Both maps hold the same pairs, and no bucket is empty. `reducers.clock` acts on what is due.
"""

from typing import Final

from immutables import Map
from msgspec import Struct

_BUCKET_BITS: Final = 16
"""Times that differ only in their lowest 16 bits, about a minute, share a bucket."""


class Agenda(Struct, frozen=True, gc=False):
    """Key → time in ms, and the same pairs by bucket of time."""

    times: "Map[str, int]" = Map()
    buckets: "Map[int, Map[str, int]]" = Map()


def agenda_of(times: dict[str, int]) -> Agenda:
    """Build an agenda of many times at once."""
    buckets: dict[int, dict[str, int]] = {}
    for key, time in times.items():
        buckets.setdefault(time >> _BUCKET_BITS, {})[key] = time
    return Agenda(Map(times), Map({bucket: Map(keys) for bucket, keys in buckets.items()}))


def with_time(agenda: Agenda, key: str, time: int | None) -> Agenda:
    """Return the agenda with this key at this time (None: without it); the same object if nothing differs."""
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
    """Return the earliest time, None if the agenda is empty."""
    if not agenda.buckets:
        return None
    time: int = min(agenda.buckets[min(agenda.buckets)].values())
    return time


def due_by(agenda: Agenda, at_ms: int) -> list[str]:
    """Return the keys that are due at a time, sorted."""
    last = at_ms >> _BUCKET_BITS
    reached = [bucket for bucket in agenda.buckets if bucket <= last]
    return sorted(key for bucket in reached for key, time in agenda.buckets[bucket].items() if time <= at_ms)


def _without(buckets: "Map[int, Map[str, int]]", bucket: int, key: str) -> "Map[int, Map[str, int]]":
    rest = buckets[bucket].delete(key)
    return buckets.set(bucket, rest) if rest else buckets.delete(bucket)
