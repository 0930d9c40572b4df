"""Who owns a shard: the lease decides when, the owner compare in every transaction decides whether."""

from typing import Any

from processor.engine.errors import OutcomeUnknown, StoreUnavailable
from processor.engine.values import Attempts
from processor.etcd import requests
from processor.etcd.client import EtcdClient
from processor.etcd.failures import LeaseGoneError, not_written
from processor.etcd.layout import ShardKeys, encode_attempts
from processor.etcd.lease import InstanceLease, attached

RELEASE_SENDS_MAX = 3


class EtcdOwnership:
    """One shard's owner key. `lease` may serve several shards of this process; `close` closes it.

    The epoch is the create_revision of the owner key.
    """

    def __init__(self, client: EtcdClient, keys: ShardKeys, lease: InstanceLease) -> None:
        self._client = client
        self._keys = keys
        self._lease = lease
        self._lease_id = 0

    def campaign(self) -> int | None:
        """Try to own the shard: the epoch, or None while somebody else does. Raises StoreUnavailable.

        An owner key that carries our lease is ours: then the reply to an earlier campaign was lost.
        """
        lease_id = self._lease.ensure()
        compare = requests.created_at(self._keys.owner, 0)
        operation = attached(self._keys.owner, self._lease, lease_id)
        request = requests.transaction((compare,), (operation,), (requests.get(self._keys.owner),))
        answer = self._campaign_answer(request, lease_id)
        if answer.succeeded:
            self._lease_id = lease_id
            epoch: int = answer.header.revision
            return epoch
        owner = answer.responses[0].response_range.kvs[0]
        if owner.lease != lease_id:
            return None
        self._lease_id = lease_id
        found: int = owner.create_revision
        return found

    def verify(self, epoch: int) -> bool:
        """Read the owner linearizably: is it this epoch? Raises StoreUnavailable. Safe from any thread."""
        return self._epoch() == epoch

    def alive(self) -> bool:
        """Return False once our lease was lost or could not be kept for its TTL. Safe from any thread."""
        return self._lease.is_alive(self._lease_id)

    def release(self, epoch: int, *, clean: bool) -> None:
        """Delete the owner key if its create_revision is this epoch; `clean` leaves the crash counter as clean.

        Raises StoreUnavailable: then the owner key ends with the lease, and the crash counter says unclean.
        """
        operations = [requests.delete(self._keys.owner)]
        if clean:
            operations.append(requests.put(self._keys.attempts, encode_attempts(Attempts(clean=True))))
        request = requests.transaction((requests.created_at(self._keys.owner, epoch),), operations)
        for _ in range(RELEASE_SENDS_MAX):
            try:
                self._client.transact(request).result()
            except OutcomeUnknown as error:
                unknown = error
            else:
                return
        raise StoreUnavailable(f"the owner key could not be deleted: {unknown}") from unknown

    def close(self) -> None:
        """Stop keeping the lease alive and revoke it; safe to call twice."""
        self._lease.close()

    def _epoch(self) -> int:
        answer = self._client.read(requests.transaction((), (requests.get(self._keys.owner),)))
        found = answer.responses[0].response_range.kvs
        return found[0].create_revision if found else 0

    def _campaign_answer(self, request: Any, lease_id: int) -> Any:
        try:
            return self._client.transact(request).result()
        except OutcomeUnknown as error:
            raise not_written(error, "the campaign did not come through") from error
        except LeaseGoneError as error:
            self._lease.give_up(lease_id)
            raise StoreUnavailable(f"the lease ended: {error}") from error
