"""Which entity keys are behind the committed state, and what may be written for them. Pure bookkeeping, no I/O.

A commit that changes more entities than a transaction has operations leaves the rest as images in a delta. The rules:

* what is written to an entity's key is always its newest committed image, never merely a delta's own;
* it is written in the order of the seq of the delta that holds that newest image, lowest first;
* a delta is done when none of its images is the newest unwritten one; deltas are deleted strictly in order of seq;
* a removal of an entity that an existing delta mentions, written or not, is itself an image there (a tombstone):
  an absent key would lose against the older delta.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from processor.engine.values import Image


class Delta(msgspec.Struct, frozen=True):
    """The images that the commit `seq` left behind, and their size as stored."""

    seq: int
    size_bytes: int
    images: tuple[Image, ...]


class StoredDelta(msgspec.Struct, frozen=True):
    """A delta as read; `revision` is the commit's."""

    delta: Delta
    revision: int


class Effect(msgspec.Struct, frozen=True):
    """What a transaction, once it succeeded, has done to the backlog.

    `settled` are the keys whose image in a delta is no longer the newest unwritten one; `dropped_through` is the
    highest delta deleted (None: none was).
    """

    settled: tuple[str, ...] = ()
    delta: Delta | None = None
    dropped_through: int | None = None


class Backlog:
    """The deltas that exist and what of them is still to be written. Changed by `apply` alone."""

    def __init__(self) -> None:
        self._deltas: dict[int, Delta] = {}
        self._unwritten: dict[int, dict[str, Image]] = {}
        self._holder: dict[str, int] = {}
        self._mentions: Counter[str] = Counter()

    @property
    def pending(self) -> int:
        """How many entity keys are still to follow."""
        return len(self._holder)

    @property
    def commits(self) -> int:
        """How many deltas exist."""
        return len(self._deltas)

    @property
    def size_bytes(self) -> int:
        """How large they are as stored."""
        return sum(delta.size_bytes for delta in self._deltas.values())

    def mentions(self, key: str) -> bool:
        """Tell whether any existing delta has an image of this entity, written or not."""
        return key in self._mentions

    def oldest(self, *, without: frozenset[str]) -> Iterator[Image]:
        """Yield the newest unwritten images in the order they are to be written, except those of keys in `without`."""
        for image in chain.from_iterable(images.values() for images in self._unwritten.values()):
            if image.key not in without:
                yield image

    def droppable_through(self, settled: Iterable[str]) -> int | None:
        """Return up to which delta all are done once the keys of `settled` are; None when the first is not."""
        settled_in = Counter(self._holder[key] for key in settled if key in self._holder)
        through = None
        for seq, unwritten in self._unwritten.items():
            if len(unwritten) > settled_in[seq]:
                break
            through = seq
        return through

    def apply(self, effect: Effect) -> None:
        """Follow a transaction that succeeded."""
        for key in effect.settled:
            self._settle(key)
        if effect.delta is not None:
            self._add(effect.delta)
        if effect.dropped_through is not None:
            self._drop_through(effect.dropped_through)

    def pending_after(self, effect: Effect) -> int:
        """Return what `pending` will be once the effect is applied; images of its delta are settled or new."""
        added = effect.delta.images if effect.delta else ()
        settled = sum(key in self._holder for key in effect.settled)
        return len(self._holder) - settled + len(added)

    def _settle(self, key: str) -> None:
        seq = self._holder.pop(key, None)
        if seq is not None:
            del self._unwritten[seq][key]

    def _add(self, delta: Delta) -> None:
        self._deltas[delta.seq] = delta
        self._unwritten[delta.seq] = {image.key: image for image in delta.images}
        self._holder.update(dict.fromkeys(self._unwritten[delta.seq], delta.seq))
        self._mentions.update(image.key for image in delta.images)

    def _drop_through(self, through: int) -> None:
        for seq in [seq for seq in self._deltas if seq <= through]:
            for image in self._deltas.pop(seq).images:
                self._mentions[image.key] -= 1
                if not self._mentions[image.key]:
                    del self._mentions[image.key]
            del self._unwritten[seq]


class Merged(msgspec.Struct, frozen=True):
    """What a reader sees: the newest image of every entity that is there, with its mod_revision; and the backlog."""

    entities: tuple[tuple[str, bytes], ...]
    modified: dict[str, int]
    backlog: Backlog


def merge(written: Mapping[str, tuple[bytes, int]], deltas: Sequence[StoredDelta]) -> Merged:
    """Merge entity keys (value, mod_revision) with deltas, ascending by seq: the highest mod_revision wins.

    An absent key has revision 0. On a tie the key wins: then both are images of the same commit.
    """
    newest = _newest_images(deltas)
    values = {key: (value, revision) for key, (value, revision) in written.items()}
    backlog = Backlog()
    for stored in deltas:
        backlog.apply(Effect(settled=tuple(image.key for image in stored.delta.images), delta=stored.delta))
    for key, (image, revision) in newest.items():
        if _is_written(image, revision, written.get(key)):
            backlog.apply(Effect(settled=(key,)))
        elif image.value is None:
            values.pop(key, None)
        else:
            values[key] = (image.value, revision)
    entities = tuple((key, values[key][0]) for key in sorted(values))
    return Merged(entities, {key: revision for key, (_, revision) in values.items()}, backlog)


def _newest_images(deltas: Sequence[StoredDelta]) -> dict[str, tuple[Image, int]]:
    return {image.key: (image, stored.revision) for stored in deltas for image in stored.delta.images}


def _is_written(image: Image, revision: int, stands: tuple[bytes, int] | None) -> bool:
    if stands is None:
        return image.value is None
    return stands[1] >= revision
