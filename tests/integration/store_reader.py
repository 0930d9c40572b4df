"""A shard's keys in etcd, read and edited with the generated stubs alone."""

import json
from collections.abc import Mapping
from typing import Any

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs
from google.protobuf.unknown_fields import UnknownFieldSet

from tests.checker.artefacts import StoreDump

SIZE_IN_USE_FIELD = 9
RECEIVE_BYTES_MAX = 256 << 20


class StoreReader:
    """`root` is the shard's prefix, with a slash at its end."""

    def __init__(self, endpoint: str, root: str) -> None:
        options = [("grpc.max_receive_message_length", RECEIVE_BYTES_MAX)]
        self._channel = grpc.insecure_channel(endpoint, options=options)
        self._kv = stubs.KVStub(self._channel)
        self._maintenance = stubs.MaintenanceStub(self._channel)
        self._root = root.encode()

    def keys(self) -> dict[str, bytes]:
        """Return all keys of the shard, without its prefix, at one revision."""
        answer = self._kv.Range(rpc.RangeRequest(key=self._root, range_end=_end(self._root)))
        return {item.key[len(self._root) :].decode(): item.value for item in answer.kvs}

    def dump(self) -> StoreDump:
        """Return what the checker needs."""
        keys = self.keys()
        return StoreDump(
            head=json.loads(keys["head"]),
            entities={name.removeprefix("state/"): value for name, value in keys.items() if name.startswith("state/")},
            outbox=tuple(name for name in keys if name.startswith("outbox/")),
            deltas=tuple(name for name in keys if name.startswith("delta/")),
        )

    def head(self) -> dict[str, Any] | None:
        """Return the head, None when there is none."""
        value = self._kv.Range(rpc.RangeRequest(key=self._root + b"head")).kvs
        if not value:
            return None
        head: dict[str, Any] = json.loads(value[0].value)
        return head

    def is_quiet(self) -> bool:
        """Tell whether nothing waits: neither outbox nor deltas."""
        return all(self.count(folder) == 0 for folder in ("outbox/", "delta/"))

    def count(self, folder: str, *, revision: int = 0) -> int:
        """Return how many keys a folder has, or had at a past revision."""
        start = self._root + folder.encode()
        request = rpc.RangeRequest(key=start, range_end=_end(start), count_only=True, revision=revision)
        return int(self._kv.Range(request).count)

    def names(self, revision: int) -> list[str]:
        """Return the names of all keys of the shard at a past revision."""
        request = rpc.RangeRequest(key=self._root, range_end=_end(self._root), keys_only=True, revision=revision)
        return [item.key[len(self._root) :].decode() for item in self._kv.Range(request).kvs]

    def owner_epoch(self) -> int:
        """Return the create revision of the owner key, 0 when nobody owns the shard."""
        found = self._kv.Range(rpc.RangeRequest(key=self._root + b"owner")).kvs
        return int(found[0].create_revision) if found else 0

    def owner(self) -> str:
        """Return the instance that owns the shard, empty when nobody does."""
        found = self._kv.Range(rpc.RangeRequest(key=self._root + b"owner")).kvs
        return str(json.loads(found[0].value)["instance"]) if found else ""

    def write(self, values: Mapping[str, bytes | None]) -> None:
        """Put (None: delete) keys of the shard in one transaction, as an operator with a tool of his own would."""
        operations = [self._operation(name, value) for name, value in values.items()]
        assert self._kv.Txn(rpc.TxnRequest(success=operations)).succeeded

    def delete_all(self) -> None:
        """Delete everything of the shard, as a store that lost its data would look."""
        self._kv.DeleteRange(rpc.DeleteRangeRequest(key=self._root, range_end=_end(self._root)))

    def bytes_in_use(self) -> int:
        """Return the size of what the database holds, as etcd says."""
        fields: Any = UnknownFieldSet(self._maintenance.Status(rpc.StatusRequest()))
        (size,) = [field.data for field in fields if field.field_number == SIZE_IN_USE_FIELD]
        return int(size)

    def revision(self) -> int:
        """Return the newest revision."""
        return int(self._kv.Range(rpc.RangeRequest(key=self._root, count_only=True)).header.revision)

    def is_compacted(self, revision: int) -> bool:
        """Tell whether a past revision cannot be read any more."""
        try:
            self._kv.Range(rpc.RangeRequest(key=self._root + b"head", revision=revision))
        except grpc.RpcError as error:
            return "compacted" in str(error)
        return False

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _operation(self, name: str, value: bytes | None) -> Any:
        key = self._root + name.encode()
        if value is None:
            return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))
        return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value))


def _end(prefix: bytes) -> bytes:
    return prefix[:-1] + bytes([prefix[-1] + 1])
