"""A store cluster in memory that keeps a journal of every head written, and lets somebody look on."""

from collections.abc import Callable
from typing import Any

import msgspec

from processor.engine.values import Head
from processor.memory.cluster import MemoryCluster, Shard


class Written(msgspec.Struct, frozen=True):
    """A head, the revision that it was written at, and who owned the shard then."""

    head: Head
    revision: int
    owner_epoch: int


class JournalledCluster(MemoryCluster):
    """Tells `onlooker` of every head, within the write that made it."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[Written] = []
        self.onlooker: Callable[[Written], None] = lambda _: None

    def write(self, shard: int, compare: Callable[[Shard], bool], change: Callable[[Shard, int], Any]) -> int | None:
        """Change the shard as its base does."""
        revision = super().write(shard, compare, change)
        written = None if revision is None else self.read(shard, lambda keys, _: _written(keys, revision))
        if written is not None:
            self.journal.append(written)
            self.onlooker(written)
        return revision


def _written(keys: Shard, revision: int) -> Written | None:
    if keys.head is None or keys.head_revision != revision:
        return None
    return Written(keys.head, revision, keys.owner_epoch)
