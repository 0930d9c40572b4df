"""A rebuilt state beside the live one, under `<prefix>/<app>/rebuild/<name>/<shard>/`, in the layout of a shard.

A state is larger than a transaction, so a shadow is written in many. Invariants that make that safe:

* all keys of a shadow are attached to one lease. Revoking it deletes all of them at once: on `remove`, when writing is
  interrupted, and by itself after the TTL (a day by default);
* the head is written last: a reader takes a shadow without a head for a fragment and returns None;
* entities are written to their keys, never to deltas or parts, so that `snapshot.read_shard` reads it as any shard;
* every transaction is a put or a deletion of fixed bytes, so it is sent again when its outcome is unknown.

`admin/rebuild` relies on this: it writes a shadow, compares it with the live state, and promotes it from there.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from etcd3.etcdrpc import rpc_pb2 as rpc

from processor.engine.errors import InvalidRequest
from processor.engine.values import Head, Snapshot
from processor.etcd import requests
from processor.etcd.client import EtcdClient, transact_repeatedly
from processor.etcd.failures import LeaseGoneError
from processor.etcd.layout import ShardKeys, encode_head, end_of
from processor.etcd.limits import Limits
from processor.etcd.snapshot import read_shard

TTL_S = 24 * 60 * 60
SENDS_MAX = 5
LEASES_MAX = 100
"""How many interrupted attempts one removal deletes."""


class Shadow:
    """One shadow of one shard. Everything raises StoreUnavailable."""

    def __init__(
        self, client: EtcdClient, prefix: str, app: str, name: str, shard: int, *, limits: Limits | None = None
    ) -> None:
        self._client = client
        self._keys = ShardKeys(f"{prefix}/{app}/rebuild", name, shard)
        self._limits = limits or Limits()

    def write(self, head: Head, values: Iterable[tuple[str, bytes]], *, ttl_s: int = TTL_S) -> None:
        """Replace the shadow by a state; when interrupted, it leaves nothing behind.

        Raises InvalidRequest when another process removes or writes it at the same time.
        """
        self.remove()
        with ExitStack() as unfinished:
            lease_id = self._client.grant_lease(ttl_s)
            unfinished.callback(self._revoke, lease_id)
            puts = (requests.put(self._keys.entity(key), value, lease_id=lease_id) for key, value in values)
            for operations in self._chunks(puts):
                self._send(operations)
            self._send([requests.put(self._keys.head, encode_head(head), lease_id=lease_id)])
            unfinished.pop_all()

    def read(self) -> Snapshot | None:
        """Return the state, None when there is none or only a fragment. Raises ShardRefused (a newer layout)."""
        snapshot = read_shard(self._client, self._keys).snapshot
        return snapshot if snapshot.head is not None else None

    def remove(self) -> int:
        """Delete the shadow or its fragments; return how many keys there were."""
        count = int(self._range(limit=0).count)
        for _ in range(LEASES_MAX):
            found = self._range(limit=1).kvs
            if not found:
                break
            self._revoke(found[0].lease)
        self._send([requests.delete_range(self._keys.root, end_of(self._keys.root))])
        return count

    def _range(self, *, limit: int) -> Any:
        request = rpc.RangeRequest(
            key=self._keys.root, range_end=end_of(self._keys.root), limit=limit, count_only=not limit
        )
        operation = rpc.RequestOp(request_range=request)
        return self._client.read(requests.transaction((), (operation,))).responses[0].response_range

    def _revoke(self, lease_id: int) -> None:
        with contextlib.suppress(LeaseGoneError, InvalidRequest):
            self._client.revoke_lease(lease_id)

    def _send(self, operations: Sequence[Any]) -> None:
        """Send puts or a deletion, which are harmless to repeat."""
        request = requests.transaction((), operations)
        try:
            transact_repeatedly(self._client, request, sends_max=SENDS_MAX)
        except LeaseGoneError as error:
            raise InvalidRequest("the shadow was removed or written by somebody else meanwhile") from error

    def _chunks(self, operations: Iterable[Any]) -> Iterator[list[Any]]:
        chunk: list[Any] = []
        size = 0
        for operation in operations:
            own = operation.ByteSize()
            if chunk and (len(chunk) == self._limits.operations_max or size + own > self._limits.value_bytes_max):
                yield chunk
                chunk, size = [], 0
            chunk.append(operation)
            size += own
        if chunk:
            yield chunk
