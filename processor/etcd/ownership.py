"""Who owns a shard. The lease decides when ownership ends, the owner compare in every transaction whether it holds.

**Take-over.** A campaign creates the owner key, attached to our lease, if it is absent. The epoch is the key's
create_revision, so it grows with every owner, and no owner has the epoch of another. When the owner's process dies, its
lease ends after the TTL, etcd deletes the key, and the next campaign succeeds. Invariants:

* one owner key at a time; every write compares its create_revision with the epoch (see `transaction`). A former owner
  that still runs, for example after a pause, changes nothing: its clock is not trusted for safety;
* `alive` is the cheap, local half: it turns False before the lease can have ended on the server, so that an owner stops
  publishing in time. `verify` is the linearizable half, for moments at which the clock is not enough;
* a campaign whose answer was lost may have succeeded: an owner key with our own lease is ours.

The engine (take-over, publisher) relies on the epoch, etcd's compare enforces it.
"""

from typing import Any

from processor.engine.errors import OutcomeUnknown, StoreUnavailable
from processor.engine.values import Attempts
from processor.etcd import requests
from processor.etcd.client import EtcdClient, transact_repeatedly
from processor.etcd.failures import LeaseGoneError, not_written
from processor.etcd.layout import ShardKeys, encode_attempts
from processor.etcd.lease import InstanceLease, attached

RELEASE_SENDS_MAX = 3


class EtcdOwnership:
    """One shard's owner key. `lease` may serve several shards of this process; `close` closes it."""

    def __init__(self, client: EtcdClient, keys: ShardKeys, lease: InstanceLease) -> None:
        self._client = client
        self._keys = keys
        self._lease = lease
        self._lease_id = 0

    def campaign(self) -> int | None:
        """Try to own the shard: return the epoch, or None while another process owns it. Raises StoreUnavailable."""
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
        """Tell by a linearizable read whether the owner has this epoch. Raises StoreUnavailable. For any thread."""
        return self._epoch() == epoch

    def alive(self) -> bool:
        """Return False once our lease was lost or could not be kept for its TTL. Safe from any thread."""
        return self._lease.is_alive(self._lease_id)

    def release(self, epoch: int, *, clean: bool) -> None:
        """Delete the owner key if its create_revision is this epoch; `clean` writes a clean crash counter.

        Raises StoreUnavailable: then the owner key ends with the lease, and the crash counter stays unclean.
        """
        operations = [requests.delete(self._keys.owner)]
        if clean:
            operations.append(requests.put(self._keys.attempts, encode_attempts(Attempts(clean=True))))
        request = requests.transaction((requests.created_at(self._keys.owner, epoch),), operations)
        try:
            transact_repeatedly(self._client, request, sends_max=RELEASE_SENDS_MAX)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"the owner key could not be deleted: {error}") from error

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
            raise not_written(error, "the campaign was not answered") from error
        except LeaseGoneError as error:
            self._lease.give_up(lease_id)
            raise StoreUnavailable(f"the lease ended: {error}") from error
