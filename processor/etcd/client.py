"""Calls to etcd on the generated stubs: one channel, deadlines, tokens, and errors by what to do about them.

Reads raise StoreUnavailable, writes OutcomeUnknown; both InvalidRequest for what can never succeed. The failures
module's CompactedError and LeaseGoneError come through where the text says so. Safe from any thread.
"""

import threading
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import grpc
import msgspec
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs
from google.protobuf.unknown_fields import UnknownFieldSet

from processor.engine.errors import OutcomeUnknown, StoreUnavailable
from processor.etcd.channel import Access, open_channel
from processor.etcd.failures import Failure, failure_of, read_error, text_of, write_error
from processor.etcd.open_call import OpenCall

CALL_TIMEOUT_S = 3.0
TRANSACTION_TIMEOUT_S = 2.0
"""Sent again, a transaction goes to the next member: what a frozen member or an election takes from us is this long."""
PAGE_TIMEOUT_S = 30.0
LAST_CALLS_TIMEOUT_S = 0.2
"""What a call may take once `left_s` says that there is no time left: enough where the server is well."""
SIZE_IN_USE_FIELD = 9
QUOTA_FIELD = 12
"""Fields of StatusResponse that are younger than the stubs."""

# A member that lost its leader ends the stream instead of keeping silent.
REQUIRE_LEADER = (("hasleader", "true"),)

Metadata = tuple[tuple[str, str], ...]


class Status(msgspec.Struct, frozen=True):
    """What one member says of itself; a quota of 0 is unknown."""

    version: str
    revision: int
    size_bytes: int
    size_in_use_bytes: int
    quota_bytes: int


class PendingTransaction:
    """A transaction under way."""

    def __init__(self, client: "EtcdClient", request: Any) -> None:
        self._client = client
        self._request = request
        self._metadata: Metadata | None = None
        self._future = self._begin()

    def result(self) -> Any:
        """Wait for the TxnResponse. Raises OutcomeUnknown, InvalidRequest, LeaseGoneError."""
        try:
            return self._wait()
        except _TokenExpiredError:
            self._future = self._begin()
        try:
            return self._wait()
        except _TokenExpiredError as error:
            raise OutcomeUnknown(str(error)) from error

    def _begin(self) -> Any:
        """Send, with another token than the last time; None when there is no token to be had."""
        try:
            self._metadata = self._client.metadata(other_than=self._metadata)
        except StoreUnavailable:
            return None
        timeout_s = self._client.bounded_s(TRANSACTION_TIMEOUT_S)
        return self._client.kv.Txn.future(self._request, timeout=timeout_s, metadata=self._metadata)

    def _wait(self) -> Any:
        if self._future is None:
            raise OutcomeUnknown("etcd: no token could be fetched")
        try:
            return self._future.result()
        except grpc.RpcError as error:
            failure = failure_of(error)
            if failure is Failure.TOKEN_EXPIRED:
                raise _TokenExpiredError(text_of(error)) from error
            raise write_error(failure, text_of(error)) from error
        except grpc.FutureCancelledError as error:
            raise OutcomeUnknown("etcd: the channel was closed") from error


class _TokenExpiredError(Exception):
    """Nothing was applied; with a new token the same request may be sent again."""


class EtcdClient:
    """One connection to an etcd cluster, shared by all that this process does there.

    `left_s` returns how long a call that begins now may take, whatever its own timeout.
    """

    def __init__(self, access: Access, *, left_s: Callable[[], float] = lambda: inf) -> None:
        self._access = access
        self._left_s = left_s
        self._channel = open_channel(access)
        self.kv = stubs.KVStub(self._channel)
        self._lease = stubs.LeaseStub(self._channel)
        self._watch = stubs.WatchStub(self._channel)
        self._maintenance = stubs.MaintenanceStub(self._channel)
        self._auth = stubs.AuthStub(self._channel)
        self._open_call = OpenCall(self._watch.Watch)
        self._token_lock = threading.Lock()
        self._metadata: Metadata | None = None if access.username else ()

    def transact(self, request: Any) -> PendingTransaction:
        """Send a TxnRequest without waiting for its answer."""
        self._open_call.keep()
        return PendingTransaction(self, request)

    def read(self, request: Any) -> Any:
        """Return the TxnResponse of a transaction that only reads: several ranges at one revision, linearizable."""
        return self._call(self.kv.Txn, request)

    def pages(self, start: bytes, end: bytes, *, revision: int, page_keys: int) -> Iterator[Any]:
        """Yield the KeyValues of [start, end) at one revision, ascending. Raises StoreUnavailable, CompactedError."""
        while True:
            request = rpc.RangeRequest(key=start, range_end=end, limit=page_keys, revision=revision)
            page = self._call(self.kv.Range, request, timeout_s=PAGE_TIMEOUT_S)
            yield from page.kvs
            if not page.more:
                return
            start = page.kvs[-1].key + b"\x00"

    def status(self) -> Status:
        """Return version, revision and sizes of one member."""
        answer = self._call(self._maintenance.Status, rpc.StatusRequest())
        fields: Any = UnknownFieldSet(answer)
        unknown = {field.field_number: field.data for field in fields}
        return Status(
            version=answer.version,
            revision=answer.header.revision,
            size_bytes=answer.dbSize,
            size_in_use_bytes=unknown.get(SIZE_IN_USE_FIELD, answer.dbSize),
            quota_bytes=unknown.get(QUOTA_FIELD, 0),
        )

    def alarms(self) -> tuple[str, ...]:
        """Return the names of the alarms that are on (NOSPACE, CORRUPT)."""
        answer = self._call(self._maintenance.Alarm, rpc.AlarmRequest(action=rpc.AlarmRequest.GET))
        return tuple(sorted({rpc.AlarmType.Name(member.alarm) for member in answer.alarms}))

    def ping(self) -> None:
        """Ask for nothing, linearizably: raises StoreUnavailable unless a quorum answers."""
        self._call(self.kv.Range, rpc.RangeRequest(key=b"\x00", count_only=True))

    def compact(self, revision: int) -> None:
        """Forget all history below `revision`; a revision that is gone already is no error."""
        if (error := self._attempt(self.kv.Compact, rpc.CompactionRequest(revision=revision))[1]) is None:
            return
        if failure_of(error) is not Failure.COMPACTED:
            raise read_error(failure_of(error), text_of(error)) from error

    def grant_lease(self, ttl_s: int) -> int:
        """Return the id of a new lease."""
        lease_id: int = self._call(self._lease.LeaseGrant, rpc.LeaseGrantRequest(TTL=ttl_s)).ID
        return lease_id

    def keep_alive(self, lease_id: int, *, timeout_s: float) -> int:
        """Prolong a lease: its TTL in seconds, 0 when it is dead. Raises StoreUnavailable."""

        def prolong(request: Any, timeout: float, metadata: Metadata) -> int:
            stream = self._lease.LeaseKeepAlive(iter([request]), timeout=timeout, metadata=metadata + REQUIRE_LEADER)
            for answer in stream:
                stream.cancel()
                ttl_s: int = answer.TTL
                return ttl_s
            raise StoreUnavailable("etcd: the keepalive stream ended without an answer")

        ttl_s: int = self._call(prolong, rpc.LeaseKeepAliveRequest(ID=lease_id), timeout_s=timeout_s)
        return ttl_s

    def revoke_lease(self, lease_id: int) -> None:
        """End a lease and delete what is attached to it. Raises StoreUnavailable, LeaseGoneError."""
        self._call(self._lease.LeaseRevoke, rpc.LeaseRevokeRequest(ID=lease_id))

    def watch(self, requests: Iterator[Any], *, timeout_s: float) -> Any:
        """Open a watch stream, a grpc call to iterate and cancel; it may break at any time with grpc.RpcError."""
        return self._watch.Watch(requests, timeout=timeout_s, metadata=self.metadata() + REQUIRE_LEADER)

    def bounded_s(self, timeout_s: float) -> float:
        """Return a call's timeout with regard to the time that is left."""
        return min(timeout_s, max(LAST_CALLS_TIMEOUT_S, self._left_s()))

    def close(self) -> None:
        """Close the channel; whatever is under way ends with an error."""
        self._open_call.close()
        self._channel.close()

    def metadata(self, *, other_than: Metadata | None = None) -> Metadata:
        """Return what goes with every call: the token, where there are users; another one than the stale one given.

        Raises StoreUnavailable, InvalidRequest (wrong password).
        """
        with self._token_lock:
            if self._metadata is None or (self._metadata == other_than and self._access.username):
                self._metadata = (("token", self._fetch_token()),)
            return self._metadata

    def _fetch_token(self) -> str:
        request = rpc.AuthenticateRequest(name=self._access.username, password=self._access.password)
        try:
            token: str = self._auth.Authenticate(request, timeout=self.bounded_s(CALL_TIMEOUT_S)).token
        except grpc.RpcError as error:
            raise read_error(failure_of(error), text_of(error)) from error
        return token

    def _call(self, method: Callable[..., Any], request: Any, *, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Call once, a second time with a new token; an error is translated as for a read."""
        answer, error = self._attempt(method, request, timeout_s=timeout_s)
        if error is not None:
            raise read_error(failure_of(error), text_of(error)) from error
        return answer

    def _attempt(
        self, method: Callable[..., Any], request: Any, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> tuple[Any, grpc.RpcError | None]:
        metadata = self.metadata()
        answer, error = _once(method, request, self.bounded_s(timeout_s), metadata)
        if error is not None and failure_of(error) is Failure.TOKEN_EXPIRED and self._access.username:
            return _once(method, request, self.bounded_s(timeout_s), self.metadata(other_than=metadata))
        return answer, error


def _once(
    method: Callable[..., Any], request: Any, timeout_s: float, metadata: Metadata
) -> tuple[Any, grpc.RpcError | None]:
    try:
        return method(request, timeout=timeout_s, metadata=metadata), None
    except grpc.RpcError as error:
        return None, error
