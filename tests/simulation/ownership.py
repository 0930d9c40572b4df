"""The ownership port with leases that end unnoticed, and campaigns and releases whose replies are lost."""

from processor.engine.errors import StoreUnavailable
from processor.memory.cluster import Shard
from processor.memory.ownership import MemoryOwnership
from tests.simulation.process import LEASE_TTL_MS, Process


class SimulatedOwnership(MemoryOwnership):
    """One process's claim on the shard."""

    def __init__(self, process: Process) -> None:
        self._process = process
        super().__init__(process.stage.cluster, 0, process.name)

    def campaign(self) -> int | None:
        """Try to own the shard. Raises StoreUnavailable, after which it may be owned, now or later."""
        self._reach("campaign")
        faults = self._process.stage.faults
        if faults.strikes("campaign delayed"):
            self._own_later(faults.chance("campaign delayed").uniform(0, 2 * LEASE_TTL_MS))
            raise StoreUnavailable("campaign delayed")
        epoch = super().campaign()
        if faults.strikes("campaign applied, reply lost"):
            raise StoreUnavailable("campaign applied, reply lost")
        self._process.touch("campaigned")
        if epoch is not None:
            self._process.tell(f"owns the shard with epoch {epoch}")
        return epoch

    def verify(self, epoch: int) -> bool:
        """Read the owner: is it this epoch? Raises StoreUnavailable."""
        self._reach("verify")
        is_ours = super().verify(epoch)
        self._process.touch("verified")
        return is_ours

    def alive(self) -> bool:
        """Return False once the process has noticed that its lease was lost."""
        return self._owned and self._process.stage.scheduler.now_ms < self._process.lease_notice_ms

    def release(self, epoch: int, *, clean: bool) -> None:
        """Make the shard vacant if its epoch is this one. Raises StoreUnavailable, whatever happened."""
        self._reach("release")
        faults = self._process.stage.faults
        if faults.strikes("release lost"):
            raise StoreUnavailable("release lost")
        super().release(epoch, clean=clean)
        self._process.tell(f"has given epoch {epoch} up, {'clean' if clean else 'unclean'}")
        if faults.strikes("release applied, reply lost"):
            raise StoreUnavailable("release applied, reply lost")
        self._process.touch("released")

    def close(self) -> None:
        """Revoke the lease."""
        self._process.touch("close ownership")
        super().close()

    def _reach(self, what: str) -> None:
        self._process.touch(what)
        if self._process.stage.faults.strikes("store unavailable"):
            raise StoreUnavailable(f"no answer to {what}")

    def _own_later(self, delay_ms: float) -> None:
        cluster, lease, process = self._process.stage.cluster, self.lease, self._process

        def own(keys: Shard, revision: int) -> None:
            keys.owner, keys.owner_epoch = lease, revision
            process.tell(f"! its delayed campaign makes it the owner with epoch {revision}")

        process.stage.scheduler.after(
            delay_ms, lambda: cluster.write(0, lambda keys: keys.owner is None and cluster.is_alive(lease), own)
        )

    def _new_lease(self) -> str:
        return self._process.new_lease()
