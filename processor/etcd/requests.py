"""The requests that we send to etcd. Every write to a shard stands under the two compares of `guarded`."""

from collections.abc import Sequence
from typing import Any

from etcd3.etcdrpc import rpc_pb2 as rpc

from processor.etcd.layout import ShardKeys

OPERATION_OVERHEAD_BYTES = 32
"""An upper bound of what a put adds to its key and value on the wire."""


def put(key: bytes, value: bytes, *, lease_id: int = 0) -> Any:
    """Return the operation that writes a key."""
    return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value, lease=lease_id))


def get(key: bytes, *, revision: int = 0) -> Any:
    """Return the operation that reads a key as of a revision (0: now)."""
    return rpc.RequestOp(request_range=rpc.RangeRequest(key=key, revision=revision))


def delete(key: bytes) -> Any:
    """Return the operation that deletes a key."""
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))


def delete_range(start: bytes, end: bytes) -> Any:
    """Return the operation that deletes [start, end)."""
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=start, range_end=end))


def modified_at(key: bytes, revision: int) -> Any:
    """Return the compare "last written at this revision" (0: absent)."""
    return rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=revision)


def created_at(key: bytes, revision: int) -> Any:
    """Return the compare "created at this revision" (0: absent)."""
    return rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.CREATE, key=key, create_revision=revision)


def transaction(compares: Sequence[Any], success: Sequence[Any], failure: Sequence[Any] = ()) -> Any:
    """Return a TxnRequest."""
    return rpc.TxnRequest(compare=compares, success=success, failure=failure)


def guarded(keys: ShardKeys, operations: Sequence[Any], *, expected_revision: int, epoch: int) -> Any:
    """Return the TxnRequest that succeeds only for this head and this owner, and returns both otherwise."""
    compares = (modified_at(keys.head, expected_revision), created_at(keys.owner, epoch))
    return transaction(compares, operations, (get(keys.head), get(keys.owner)))
