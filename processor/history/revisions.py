"""At which revision of the store a point was reached: heads are read by halving, some thirty of a thousand million.

What commits write never falls: seq, positions, times (as far as clocks agree). So all that is sought is the first
head for which something holds.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from processor.engine.values import Head
from processor.etcd.failures import CompactedError
from processor.etcd.past import StandingHead


class Heads(Protocol):
    """A shard's head now and at past revisions."""

    def newest(self) -> StandingHead | None:
        """Return the head now, None when the shard never ran."""
        ...

    def at(self, revision: int) -> StandingHead | None:
        """Return the head at a revision, None when there was none yet. Raises CompactedError."""
        ...


class First(msgspec.Struct, frozen=True):
    """The first head for which something holds, at the lowest revision that can be read at which it stood.

    Not `certain`: what stood before it is compacted, so that an earlier head may have been the first.
    """

    standing: StandingHead
    certain: bool


def first_where(heads: Heads, newest: StandingHead, holds: Callable[[Head], bool]) -> First | None:
    """Return the first head for which something holds that holds for all later ones; None: not even for the newest."""
    if not holds(newest.head):
        return None
    low, high, found, certain = newest.created, newest.modified, newest, True
    while low < high:
        middle = (low + high) // 2
        try:
            standing = heads.at(middle)
        except CompactedError:
            low, certain = middle + 1, False
            continue
        if standing is not None and holds(standing.head):
            high, found = max(low, standing.modified), standing
        else:
            low, certain = middle + 1, True
    return First(_as_written(heads, found), certain)


def before(heads: Heads, after: StandingHead) -> StandingHead | None:
    """Return the head that stood before this one, None when it is the first. Raises CompactedError."""
    return None if after.modified == after.created else heads.at(after.modified - 1)


def _as_written(heads: Heads, seen: StandingHead) -> StandingHead:
    """Return a head at the revision that wrote it; where that is compacted, at the one where it was seen."""
    try:
        return heads.at(seen.modified) or seen
    except CompactedError:
        return seen
