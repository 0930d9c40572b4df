"""The store port in memory: the same compares, refusals and revisions as the real one."""

from collections.abc import Callable

from processor.engine.limits import Capacity
from processor.engine.values import Attempts, Commit, Committed, Conflict, HeadView, Snapshot, TrimRequest
from processor.memory.cluster import MemoryCluster, Shard

DEFAULT_CAPACITY = Capacity(entities_max=768, bytes_max=512 * 1024, value_bytes_max=1_081_344)


class MemoryInFlight:
    """A request, carried out when it is sent."""

    def __init__(self, store: "MemoryStore", request: Commit | TrimRequest) -> None:
        self._store = store
        self._request = request
        self._answer = store.carry_out(request)

    def result(self) -> Committed | Conflict:
        """Return the answer."""
        return self._answer

    def again(self) -> None:
        """Send the identical request once more; after a success its compare fails and the head tells that it won."""
        self._answer = self._store.carry_out(self._request)


class MemoryStore:
    """One shard of a cluster in memory."""

    def __init__(self, cluster: MemoryCluster, shard: int, capacity: Capacity = DEFAULT_CAPACITY) -> None:
        self._cluster = cluster
        self._shard = shard
        self._capacity = capacity

    def capacity(self) -> Capacity:
        """Return what one commit should carry at most."""
        return self._capacity

    def load(self) -> Snapshot:
        """Read everything at one revision."""
        return self._cluster.read(self._shard, Shard.snapshot)

    def read_head(self) -> HeadView:
        """Read head and owner at one revision."""
        return self._cluster.read(self._shard, lambda keys, _: keys.refusal())

    def send(self, commit: Commit) -> MemoryInFlight:
        """Begin a commit of any size."""
        return MemoryInFlight(self, commit)

    def trim(self, trimming: TrimRequest) -> MemoryInFlight | None:
        """Begin a transaction that trims; None when there is nothing to do."""
        stands = self.read_head().head
        idle = stands is not None and trimming.head.announced_seq <= stands.announced_seq
        if idle and not trimming.scanned_further:
            return None
        return MemoryInFlight(self, trimming)

    def suspects(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Return the keys of entities written with the head's last change or after it; no history is kept here."""
        return tuple(sorted(key for key, revision in snapshot.modified.items() if revision >= snapshot.head_revision))

    def try_record(self, attempts: Attempts, *, expected_revision: int, epoch: int) -> bool:
        """Put the crash counter under the two compares. False: refused."""

        def put(keys: Shard, revision: int) -> None:
            del revision
            keys.attempts = attempts

        return self._guarded(put, expected_revision, epoch) is not None

    def carry_out(self, request: Commit | TrimRequest) -> Committed | Conflict:
        """Run the transaction, or return the conflict."""

        def change(keys: Shard, revision: int) -> None:
            keys.put_head(request.head, revision)
            if request.audit is not None:
                keys.audit.append(request.audit)
            if isinstance(request, Commit):
                _apply(request, keys, revision)

        revision = self._guarded(change, request.expected_revision, request.epoch)
        if revision is not None:
            return Committed(revision)
        found = self.read_head()
        if _is_ours(found, request):
            return Committed(found.head_revision)
        return Conflict(found.head, found.head_revision, found.owner_epoch)

    def _guarded(self, change: Callable[[Shard, int], None], expected_revision: int, epoch: int) -> int | None:
        return self._cluster.write(
            self._shard, lambda keys: keys.holds(expected_revision=expected_revision, epoch=epoch), change
        )


def _apply(commit: Commit, keys: Shard, revision: int) -> None:
    for image in commit.images:
        keys.put_entity(image.key, image.value, revision)
    if commit.outbox is not None:
        keys.put_entry(commit.outbox, revision)
    if commit.clear_attempts:
        keys.attempts = None


def _is_ours(found: HeadView, request: Commit | TrimRequest) -> bool:
    stands = found.head
    return stands is not None and stands.commit_id == request.head.commit_id and found.owner_epoch == request.epoch
