"""A state beside the live one, under `<prefix>/<app>/rebuild/<name>/<shard>/`, laid out as a shard's.

All its keys hang on one lease, so that it goes as a whole: when it is removed, when its writing is interrupted, and by
itself after its time. The head is written last: without it the shadow is a fragment that nobody takes for a state.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from etcd3.etcdrpc import rpc_pb2 as rpc

from processor.engine.errors import InvalidRequest, OutcomeUnknown, StoreUnavailable
from processor.engine.values import Head, Snapshot
from processor.etcd import requests
from processor.etcd.client import EtcdClient
from processor.etcd.failures import LeaseGoneError
from processor.etcd.layout import ShardKeys, encode_head, end_of
from processor.etcd.snapshot import read_shard
from processor.etcd.transaction import Limits

TTL_S = 24 * 60 * 60
SENDS_MAX = 5
LEASES_MAX = 100
"""How many interrupted attempts one removal clears away."""


class Shadow:
    """One shadow of one shard. Everything raises StoreUnavailable."""

    def __init__(
        self, client: EtcdClient, prefix: str, app: str, name: str, shard: int, *, limits: Limits | None = None
    ) -> None:
        self._client = client
        self._keys = ShardKeys(f"{prefix}/{app}/rebuild", name, shard)
        self._limits = limits or Limits()

    def write(self, head: Head, values: Iterable[tuple[str, bytes]], *, ttl_s: int = TTL_S) -> None:
        """Put a state in place of what the shadow holds; interrupted, it leaves nothing behind.

        Raises InvalidRequest when somebody else removes or writes it meanwhile.
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
        """Take the shadow or its fragments away; return how many keys there were."""
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
        """Send puts or a deletion, which may be sent again."""
        request = requests.transaction((), operations)
        for _ in range(SENDS_MAX):
            try:
                self._client.transact(request).result()
            except OutcomeUnknown as error:
                unknown = error
            except LeaseGoneError as error:
                raise InvalidRequest("the shadow was removed or written by somebody else meanwhile") from error
            else:
                return
        raise StoreUnavailable(str(unknown)) from unknown

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
