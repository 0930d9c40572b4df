"""The ports of ownership and membership in memory. A lease is called `<instance>#<number>`."""

from itertools import count

from processor.engine.assignment import Members
from processor.engine.values import Attempts
from processor.memory.cluster import MemoryCluster, Shard

_SERIAL = count(1)


class MemoryOwnership:
    """One instance's claim on one shard of a cluster in memory; `close` and `MemoryCluster.expire` end its lease."""

    def __init__(self, cluster: MemoryCluster, shard: int, instance: str) -> None:
        self._cluster = cluster
        self._shard = shard
        self._instance = instance
        self._closed = False
        self._owned = False
        self.lease = self._new_lease()

    def campaign(self) -> int | None:
        """Try to own the shard: return the epoch, or None while another does; a lost lease is replaced."""
        if self._closed:
            raise RuntimeError("the lease was closed")
        if not self._cluster.is_alive(self.lease):
            self.lease = self._new_lease()

        def own(keys: Shard, revision: int) -> None:
            keys.owner, keys.owner_epoch = self.lease, revision

        epoch = self._cluster.write(self._shard, lambda keys: keys.owner is None, own) or self._epoch_if_ours()
        self._owned = self._owned or epoch is not None
        return epoch

    def verify(self, epoch: int) -> bool:
        """Tell whether the owner has this epoch. Safe from any thread."""
        return self._cluster.read(self._shard, lambda keys, _: keys.owner_epoch) == epoch

    def alive(self) -> bool:
        """Return False once our lease was lost. Safe from any thread."""
        return self._owned and self._cluster.is_alive(self.lease)

    def release(self, epoch: int, *, clean: bool) -> None:
        """Make the shard vacant if its epoch is this one; `clean` writes a clean crash counter."""

        def vacate(keys: Shard, revision: int) -> None:
            del revision
            keys.owner, keys.owner_epoch = None, 0
            if clean:
                keys.attempts = Attempts(clean=True)

        self._cluster.write(self._shard, lambda keys: keys.owner_epoch == epoch, vacate)

    def close(self) -> None:
        """End the lease; safe to call twice."""
        self._closed = True
        self._cluster.expire(self.lease)

    def _epoch_if_ours(self) -> int | None:
        return self._cluster.read(self._shard, lambda keys, _: keys.owner_epoch if keys.owner == self.lease else None)

    def _new_lease(self) -> str:
        return _lease_of(self._instance)


class MemoryMembership:
    """One instance among those that share the shards of a cluster in memory, under a lease of its own."""

    def __init__(self, cluster: MemoryCluster, instance: str, *, shards: int) -> None:
        self._cluster = cluster
        self.instance = instance
        self._shards = shards
        self.lease = _lease_of(instance)

    def look(self) -> Members:
        """Return the members, this one included; a lost lease is replaced."""
        if not self._cluster.is_alive(self.lease):
            self.lease = _lease_of(self.instance)
        self._cluster.enlist(self.instance, self.lease)
        instances, owners = self._cluster.members(self._shards)
        return Members(instances, {shard: lease.partition("#")[0] for shard, lease in owners.items()})

    def leave(self) -> None:
        """Deregister this instance."""
        self._cluster.dismiss(self.instance)


def _lease_of(instance: str) -> str:
    return f"{instance}#{next(_SERIAL)}"
