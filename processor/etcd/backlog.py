"""The entity keys that are behind the committed state, and how they catch up. Pure bookkeeping, no I/O.

A commit that changes more entities than a transaction has operations writes some to their keys and leaves the rest as
images in a delta (overflow). The committed state is therefore the keys *merged* with the deltas, and later transactions
use spare operations to write images to their keys (materialise) until the delta can be deleted.

`merge` decides for each entity by revision: a key that was written at or after the delta's revision is newer. It works
from what is stored alone, so any reader gets the committed state, and an owner gets its backlog back after a crash.
That holds because of these invariants:

* the value written to an entity's key is always its newest committed image, never an older one from a delta;
* images are written in order of the seq of the delta that holds the newest image, lowest first;
* a delta is done when none of its images is the newest unwritten one; deltas are deleted strictly in order of seq.
  A younger delta that went first would bring an older image back;
* the removal of an entity that any existing delta mentions, written or not, is itself an image in a delta (a
  tombstone): an absent key has no revision and would lose against the older delta.

`transaction` and `builder` plan with it; `EtcdStore` applies the `Effect` once etcd has answered. The model test
`tests/etcd/test_overflow_machine.py` holds keys and deltas to the committed state after random commits and crashes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from processor.engine.values import Image


class Delta(msgspec.Struct, frozen=True):
    """The images that the commit `seq` left to be written later, and their stored size."""

    seq: int
    size_bytes: int
    images: tuple[Image, ...]


class StoredDelta(msgspec.Struct, frozen=True):
    """A delta as read; `revision` is that of its commit."""

    delta: Delta
    revision: int


class Effect(msgspec.Struct, frozen=True):
    """The change that a successful transaction makes to the backlog.

    `settled` are the keys whose image in a delta is no longer the newest unwritten one; `dropped_through` is the
    seq of the highest deleted delta (None: none was deleted).
    """

    settled: tuple[str, ...] = ()
    delta: Delta | None = None
    dropped_through: int | None = None


class Backlog:
    """The existing deltas and their unwritten images. Changed by `apply` alone."""

    def __init__(self) -> None:
        self._deltas: dict[int, Delta] = {}
        self._unwritten: dict[int, dict[str, Image]] = {}
        self._holder: dict[str, int] = {}
        self._mentions: Counter[str] = Counter()

    @property
    def pending(self) -> int:
        """The number of entity keys that are still to be written."""
        return len(self._holder)

    @property
    def commits(self) -> int:
        """The number of existing deltas."""
        return len(self._deltas)

    @property
    def size_bytes(self) -> int:
        """The stored size of the deltas."""
        return sum(delta.size_bytes for delta in self._deltas.values())

    def mentions(self, key: str) -> bool:
        """Tell whether any existing delta has an image of this entity, written or not."""
        return key in self._mentions

    def oldest(self, *, without: frozenset[str]) -> Iterator[Image]:
        """Yield the newest unwritten images in the order of writing, except those of keys in `without`."""
        for image in chain.from_iterable(images.values() for images in self._unwritten.values()):
            if image.key not in without:
                yield image

    def droppable_through(self, settled: Iterable[str]) -> int | None:
        """Return the seq up to which all deltas are done once `settled` is written; None when the first is not."""
        settled_in = Counter(self._holder[key] for key in settled if key in self._holder)
        through = None
        for seq, unwritten in self._unwritten.items():
            if len(unwritten) > settled_in[seq]:
                break
            through = seq
        return through

    def apply(self, effect: Effect) -> None:
        """Record a transaction that succeeded."""
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
    """The committed state: every entity's newest value and mod_revision, and the backlog."""

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
