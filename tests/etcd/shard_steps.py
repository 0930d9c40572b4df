"""Steps of tests on one shard: start it, change it, let it settle."""

import hashlib
from typing import Any

from processor.engine.announcements import Announcement
from processor.engine.values import Commit, Image, TrimRequest
from processor.etcd.store import EtcdStore
from tests.contracts.store_worlds import EtcdWorld, committed, entry, head


def noise(seed: int, size: int) -> bytes:
    blocks = (hashlib.sha256(b"%d-%d" % (seed, block)).digest() for block in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def many(count: int, value: bytes | None = b"v", first: int = 0) -> tuple[Image, ...]:
    return tuple(Image(f"model/{number:05}", value) for number in range(first, first + count))


def started(world: EtcdWorld, epoch: int, store: EtcdStore | None = None) -> tuple[EtcdStore, int]:
    store = store or world.store()
    store.load()
    return store, committed(store.send(Commit(0, head(0, epoch))).result())


def trimmed(store: EtcdStore, seq: int, epoch: int, revision: int) -> int:
    """Tidy until there is nothing to do, as an idle engine does."""
    for turn in range(100):
        flight = store.trim(TrimRequest(revision, head(seq, epoch, commit_id=f"trim-{turn}"), epoch))
        if flight is None:
            return revision
        revision = committed(flight.result())
    raise AssertionError("trimming does not end")


def staged(seq: int, epoch: int, revision: int, **fields: Any) -> Commit:
    """A commit of some 2 MiB that do not compress: 1.2 of announcements, 0.8 of entities."""
    announcements = tuple(Announcement(f"model/{n}", "T", noise(n, 150_000)) for n in range(8))
    images = tuple(Image(f"model/{n}", noise(n, 100_000)) for n in range(8))
    announced = entry(seq, epoch, announcements=announcements)
    return Commit(revision, head(seq, epoch, **fields), images, announced)
