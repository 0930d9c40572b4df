"""A tiny etcd in memory behind the calls of EtcdClient that a store makes, and a client that loses answers.

The fake is strict where etcd is: operations, bytes, a key given twice, a put inside a range delete.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from etcd3.etcdrpc import kv_pb2 as kv
from etcd3.etcdrpc import rpc_pb2 as rpc

from processor.engine.errors import InvalidRequest, OutcomeUnknown

Fate = Literal["answered", "reply lost", "request lost"]


class FakeEtcd:
    """Stands in for an EtcdClient: `transact`, `read`, `pages`."""

    def __init__(self, *, operations_max: int = 128, request_bytes_max: int = 1_572_864) -> None:
        self.keys: dict[bytes, Any] = {}
        self.revision = 1
        self._operations_max = operations_max
        self._request_bytes_max = request_bytes_max

    def transact(self, request: Any) -> "Answered":
        return Answered(self._answer(request))

    def read(self, request: Any) -> Any:
        assert not any(operation.HasField("request_put") for operation in request.success)
        return self._answer(request)

    def pages(self, start: bytes, end: bytes, *, revision: int, page_keys: int) -> Iterator[Any]:
        assert revision == self.revision
        assert page_keys > 0
        yield from self._range(start, end)

    def _answer(self, request: Any) -> Any:
        self._check(request)
        succeeded = all(self._holds(compare) for compare in request.compare)
        operations = request.success if succeeded else request.failure
        if any(not operation.HasField("request_range") for operation in operations):
            self.revision += 1
        responses = [self._apply(operation) for operation in operations]
        header = rpc.ResponseHeader(revision=self.revision)
        return rpc.TxnResponse(header=header, succeeded=succeeded, responses=responses)

    def _check(self, request: Any) -> None:
        if max(len(request.compare), len(request.success), len(request.failure)) > self._operations_max:
            raise InvalidRequest("etcdserver: too many operations in txn request")
        if request.ByteSize() > self._request_bytes_max:
            raise InvalidRequest("etcdserver: request is too large")
        puts = [op.request_put.key for op in request.success if op.HasField("request_put")]
        deletes = [op.request_delete_range for op in request.success if op.HasField("request_delete_range")]
        if len(set(puts)) < len(puts) or any(_covers(range_, key) for range_ in deletes for key in puts):
            raise InvalidRequest("etcdserver: duplicate key given in txn request")

    def _holds(self, compare: Any) -> bool:
        stands = self.keys.get(compare.key, kv.KeyValue())
        if compare.target == rpc.Compare.MOD:
            return bool(stands.mod_revision == compare.mod_revision)
        assert compare.target == rpc.Compare.CREATE
        return bool(stands.create_revision == compare.create_revision)

    def _apply(self, operation: Any) -> Any:
        if operation.HasField("request_put"):
            self._put(operation.request_put)
            return rpc.ResponseOp(response_put=rpc.PutResponse())
        if operation.HasField("request_delete_range"):
            range_ = operation.request_delete_range
            for key in [key for key in self.keys if _covers(range_, key)]:
                del self.keys[key]
            return rpc.ResponseOp(response_delete_range=rpc.DeleteRangeResponse())
        asked = operation.request_range
        found = self._range(asked.key, asked.range_end or asked.key + b"\x00")
        return rpc.ResponseOp(response_range=rpc.RangeResponse(kvs=found))

    def _put(self, put: Any) -> None:
        stands = self.keys.get(put.key)
        created = stands.create_revision if stands else self.revision
        self.keys[put.key] = kv.KeyValue(
            key=put.key, value=put.value, create_revision=created, mod_revision=self.revision
        )

    def _range(self, start: bytes, end: bytes) -> Sequence[Any]:
        return [self.keys[key] for key in sorted(self.keys) if start <= key < end]


def _covers(range_: Any, key: bytes) -> bool:
    if not range_.range_end:
        return bool(range_.key == key)
    return bool(range_.key <= key < range_.range_end)


class Answered:
    """A transaction whose answer is here."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def result(self) -> Any:
        return self._answer


class Unanswered:
    """A transaction of which nobody will hear."""

    def result(self) -> Any:
        raise OutcomeUnknown("no answer")


class LossyClient:
    """Wraps a client, real or fake: `fates` says what becomes of the next writes; `sent` keeps them for late copies."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.fates: deque[Fate] = deque()
        self.sent: list[Any] = []

    def transact(self, request: Any) -> Any:
        self.sent.append(request)
        fate = self.fates.popleft() if self.fates else "answered"
        if fate == "request lost":
            return Unanswered()
        pending = self._client.transact(request)
        if fate == "answered":
            return pending
        pending.result()
        return Unanswered()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)
