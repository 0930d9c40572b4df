"""A store cluster in memory, for one or more shards: revisions, compares, and owners that end with their lease."""

import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from processor.engine.announcements import OutboxEntry, StoredEntry
from processor.engine.values import Attempts, AuditEntry, Conflict, Head, Snapshot

T = TypeVar("T")


class Shard:
    """The keys of one shard, each with the revision it was last written at. Touched under the cluster's lock only."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.head_revision = 0
        self.owner: str | None = None
        self.owner_epoch = 0
        self.entities: dict[str, tuple[bytes, int]] = {}
        self.outbox: dict[int, StoredEntry] = {}
        self.attempts: Attempts | None = None
        self.audit: list[AuditEntry] = []

    def holds(self, *, expected_revision: int, epoch: int) -> bool:
        """Evaluate the two compares that every write stands under."""
        return self.head_revision == expected_revision and self.owner_epoch == epoch

    def put_head(self, head: Head, revision: int) -> None:
        """Write `head` and trim the outbox up to its `announced_seq`."""
        self.head, self.head_revision = msgspec.structs.replace(head, pending=0), revision
        for seq in [seq for seq in self.outbox if seq <= head.announced_seq]:
            del self.outbox[seq]

    def put_entity(self, key: str, value: bytes | None, revision: int) -> None:
        """Write or (None) delete an entity."""
        if value is None:
            self.entities.pop(key, None)
        else:
            self.entities[key] = (value, revision)

    def put_entry(self, entry: OutboxEntry, revision: int) -> None:
        """Write an outbox entry."""
        self.outbox[entry.seq] = StoredEntry(entry, revision)

    def refusal(self) -> Conflict:
        """Return head and owner as they stand."""
        return Conflict(self.head, self.head_revision, self.owner_epoch)

    def snapshot(self, revision: int) -> Snapshot:
        """Return everything, entities ascending by key."""
        return Snapshot(
            revision=revision,
            head=self.head,
            head_revision=self.head_revision,
            owner_epoch=self.owner_epoch,
            entities=tuple((key, self.entities[key][0]) for key in sorted(self.entities)),
            modified={key: modified for key, (_, modified) in self.entities.items()},
            outbox=tuple(self.outbox[seq] for seq in sorted(self.outbox)),
            attempts=self.attempts,
        )


class MemoryCluster:
    """Shared by the stores and ownerships of all instances of a process. Safe from any thread.

    Every write takes the next revision, as in the real store; revisions count over all shards.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._revision = 1
        self._shards: dict[int, Shard] = {}
        self._lost: set[str] = set()
        self._instances: dict[str, str] = {}

    @property
    def revision(self) -> int:
        """The newest revision."""
        with self._lock:
            return self._revision

    def read(self, shard: int, look: Callable[[Shard, int], T]) -> T:
        """Return the result of `look` on the shard at the newest revision."""
        with self._lock:
            return look(self._shards.setdefault(shard, Shard()), self._revision)

    def write(self, shard: int, compare: Callable[[Shard], bool], change: Callable[[Shard, int], None]) -> int | None:
        """Change the shard at a new revision and return the revision; None if the compare fails."""
        with self._lock:
            keys = self._shards.setdefault(shard, Shard())
            if not compare(keys):
                return None
            self._revision += 1
            change(keys, self._revision)
            return self._revision

    def expire(self, lease: str) -> None:
        """Expire a lease: what it owns becomes vacant, and it never comes back."""
        with self._lock:
            self._lost.add(lease)
            self._instances = {name: under for name, under in self._instances.items() if under != lease}
            for keys in self._shards.values():
                if keys.owner == lease:
                    keys.owner, keys.owner_epoch = None, 0
                    self._revision += 1

    def enlist(self, instance: str, lease: str) -> None:
        """Register an instance for as long as its lease lives."""
        with self._lock:
            if lease not in self._lost:
                self._instances[instance] = lease

    def dismiss(self, instance: str) -> None:
        """Deregister an instance; its lease stays."""
        with self._lock:
            self._instances.pop(instance, None)

    def members(self, shards: int) -> tuple[tuple[str, ...], dict[int, str]]:
        """Return the instances, ascending, and shard → lease of its owner."""
        with self._lock:
            owners = {number: keys.owner for number, keys in self._shards.items() if keys.owner is not None}
            return tuple(sorted(self._instances)), {shard: owners[shard] for shard in owners if shard < shards}

    def is_alive(self, lease: str) -> bool:
        """Return whether a lease has not ended."""
        with self._lock:
            return lease not in self._lost
