"""Who owns a shard: the lease decides when, the owner compare in every transaction decides whether."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc

from processor.engine.errors import OutcomeUnknown, StoreUnavailable
from processor.engine.values import Attempts
from processor.etcd import requests
from processor.etcd.client import EtcdClient
from processor.etcd.failures import LeaseGoneError, not_written
from processor.etcd.layout import ShardKeys, encode_attempts
from processor.etcd.lease import InstanceLease, attached

POLL_INTERVAL_S = 1.0
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
        self._closed = threading.Event()

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

    def wait_for_vacancy(self, timeout_s: float) -> bool:
        """Return True as soon as the shard has no owner, False when the time is up or `close` was called.

        Only a hint of when to campaign: where the watch breaks, the key is looked at now and then.
        Raises StoreUnavailable.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._closed.is_set():
            remaining_s = deadline_s - time.monotonic()
            if self._epoch() == 0:
                return True
            if remaining_s <= 0:
                return False
            if not self._sees_deletion(remaining_s):
                self._closed.wait(min(POLL_INTERVAL_S, max(0.0, deadline_s - time.monotonic())))
        return False

    def close(self) -> None:
        """Stop keeping the lease alive and revoke it; safe to call twice."""
        self._closed.set()
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

    def _sees_deletion(self, timeout_s: float) -> bool:
        """Watch the owner key: True when it was deleted, False when the watch ended before that."""
        outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        outgoing.put(
            rpc.WatchRequest(
                create_request=rpc.WatchCreateRequest(key=self._keys.owner, filters=[rpc.WatchCreateRequest.NOPUT])
            )
        )
        stream = self._client.watch(_until_none(outgoing), timeout_s=timeout_s)
        try:
            for answer in stream:
                # The key may have gone between the last look and the start of the watch.
                if answer.events or (answer.created and self._epoch() == 0):
                    return True
                if answer.canceled:
                    return False
        except grpc.RpcError:
            return False
        else:
            return False
        finally:
            outgoing.put(None)
            stream.cancel()


def _until_none(outgoing: "queue.SimpleQueue[Any]") -> Iterator[Any]:
    # A stream whose requests have ended is half closed; the queue keeps it open until the watch is over.
    while (request := outgoing.get()) is not None:
        yield request
