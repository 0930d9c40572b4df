"""Calls to etcd on the generated stubs: one channel, deadlines, tokens, and errors named after the reaction to them.

Reads raise StoreUnavailable, writes OutcomeUnknown (StoreDenied and WriteDenied when etcd refuses us); both
InvalidRequest for a request that can never succeed. CompactedError and LeaseGoneError (module `failures`) are raised
where the docstring says so. Safe from any thread.
"""

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import grpc
import msgspec
from etcd3.etcdrpc import rpc_pb2 as rpc
from google.protobuf.unknown_fields import UnknownFieldSet

from processor.engine.errors import OutcomeUnknown, StoreDenied, StoreUnavailable, WriteDenied
from processor.etcd.channel import Access
from processor.etcd.connection import Connection, Metadata, Reread, Wire
from processor.etcd.failures import CompactedError, Failure, read_error, write_error

CALL_TIMEOUT_S = 3.0
TRANSACTION_TIMEOUT_S = 2.0
"""A transaction that is sent again goes to the next member, so a frozen member or an election costs this long."""
PAGE_TIMEOUT_S = 30.0
COMPACTION_DENIED = "etcd: permission denied: it needs the role root, whatever the rights on keys are"
SIZE_IN_USE_FIELD = 9
QUOTA_FIELD = 12
"""Fields of StatusResponse that are younger than the stubs."""

# A member that lost its leader then ends the stream; otherwise it would keep silent.
REQUIRE_LEADER = (("hasleader", "true"),)


class Status(msgspec.Struct, frozen=True):
    """The state of one member, as it reports it; a quota of 0 is unknown."""

    version: str
    revision: int
    size_bytes: int
    size_in_use_bytes: int
    quota_bytes: int


class PendingTransaction:
    """A transaction under way."""

    def __init__(self, connection: Connection, request: Any) -> None:
        self._connection = connection
        self._request = request
        self._metadata: Metadata | None = None
        self._no_token: StoreUnavailable | None = None
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
        """Send with a new token if one was used before; None when no token can be fetched."""
        try:
            self._metadata = self._connection.metadata(other_than=self._metadata)
        except StoreUnavailable as error:
            self._no_token = error
            return None
        kv = self._connection.wire.kv
        return kv.Txn.future(
            self._request, timeout=self._connection.bounded_s(TRANSACTION_TIMEOUT_S), metadata=self._metadata
        )

    def _wait(self) -> Any:
        if self._future is None:
            kind = WriteDenied if isinstance(self._no_token, StoreDenied) else OutcomeUnknown
            raise kind(str(self._no_token))
        try:
            return self._future.result()
        except grpc.RpcError as error:
            failure, text = self._connection.judged(error)
            if failure is Failure.TOKEN_EXPIRED:
                raise _TokenExpiredError(text) from error
            raise write_error(failure, text) from error
        except grpc.FutureCancelledError as error:
            raise OutcomeUnknown("etcd: the channel was closed") from error


def transact_repeatedly(client: "EtcdClient", request: Any, *, sends_max: int) -> Any:
    """Send a request that is harmless to repeat until it is answered, and return the TxnResponse.

    Raises StoreUnavailable after `sends_max` sends without an answer, InvalidRequest, LeaseGoneError.
    """
    for _ in range(sends_max):
        try:
            return client.transact(request).result()
        except OutcomeUnknown as error:
            unknown = error
    raise StoreUnavailable(str(unknown)) from unknown


class _TokenExpiredError(Exception):
    """Nothing was applied; with a new token the same request may be sent again."""


class EtcdClient:
    """One connection to an etcd cluster, shared by the whole process.

    `reread` returns the access as the files are now; it is called when etcd refuses us. `left_s` returns how long a
    call that begins now may take, whatever its own timeout.
    """

    def __init__(
        self, access: Access, *, reread: Reread | None = None, left_s: Callable[[], float] = lambda: inf
    ) -> None:
        self._connection = Connection(access, reread, left_s)
        self.root = access.root.encode()

    @property
    def kv(self) -> Any:
        """The stub of etcd's keys."""
        return self._connection.wire.kv

    @property
    def channel(self) -> grpc.Channel:
        """The current channel."""
        return self._connection.wire.channel

    def metadata(self) -> Metadata:
        """Return the metadata of every call. Raises StoreUnavailable, StoreDenied."""
        return self._connection.metadata()

    def transact(self, request: Any) -> PendingTransaction:
        """Send a TxnRequest without waiting for its answer."""
        self._connection.wire.open_call.keep()
        return PendingTransaction(self._connection, request)

    def read(self, request: Any) -> Any:
        """Return the TxnResponse of a transaction that only reads: several ranges at one revision, linearizable."""
        return self._call(lambda wire: wire.kv.Txn, request)

    def pages(self, start: bytes, end: bytes, *, revision: int, page_keys: int) -> Iterator[Any]:
        """Yield the KeyValues of [start, end) at one revision, ascending. Raises StoreUnavailable, CompactedError."""
        while True:
            request = rpc.RangeRequest(key=start, range_end=end, limit=page_keys, revision=revision)
            page = self._call(lambda wire: wire.kv.Range, request, timeout_s=PAGE_TIMEOUT_S)
            yield from page.kvs
            if not page.more:
                return
            start = page.kvs[-1].key + b"\x00"

    def status(self) -> Status:
        """Return version, revision and sizes of one member."""
        answer = self._call(lambda wire: wire.maintenance.Status, rpc.StatusRequest())
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
        answer = self._call(lambda wire: wire.maintenance.Alarm, rpc.AlarmRequest(action=rpc.AlarmRequest.GET))
        return tuple(sorted({rpc.AlarmType.Name(member.alarm) for member in answer.alarms}))

    def ping(self) -> None:
        """Make a linearizable read that returns nothing. Raises StoreUnavailable unless a quorum answers."""
        self._call(lambda wire: wire.kv.Range, rpc.RangeRequest(key=self.root + b"ping", count_only=True))

    def compact(self, revision: int) -> None:
        """Compact the history below `revision`; a revision that is already compacted is no error."""
        try:
            self._call(lambda wire: wire.kv.Compact, rpc.CompactionRequest(revision=revision))
        except CompactedError:
            return
        except StoreDenied as error:
            raise StoreDenied(COMPACTION_DENIED if "permission denied" in str(error) else str(error)) from error

    def grant_lease(self, ttl_s: int) -> int:
        """Return the id of a new lease."""
        lease_id: int = self._call(lambda wire: wire.lease.LeaseGrant, rpc.LeaseGrantRequest(TTL=ttl_s)).ID
        return lease_id

    def keep_alive(self, lease_id: int, *, timeout_s: float) -> int:
        """Renew a lease and return its TTL in seconds, 0 when it has ended. Raises StoreUnavailable."""

        def prolong(wire: Wire) -> Callable[..., int]:
            return lambda request, **how: _first_ttl(wire.lease, request, **how)

        request = rpc.LeaseKeepAliveRequest(ID=lease_id)
        ttl_s: int = self._call(prolong, request, timeout_s=timeout_s, probing=False)
        return ttl_s

    def revoke_lease(self, lease_id: int) -> None:
        """End a lease and delete what is attached to it. Raises StoreUnavailable, LeaseGoneError."""
        self._call(lambda wire: wire.lease.LeaseRevoke, rpc.LeaseRevokeRequest(ID=lease_id))

    def close(self) -> None:
        """Close the channel; calls in progress end with an error."""
        self._connection.close()

    def _call(
        self,
        method_of: Callable[[Wire], Any],
        request: Any,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        probing: bool = True,
    ) -> Any:
        """Call once, a second time with a new token; an error is translated as for a read."""
        metadata, bounded_s = self._connection.metadata(), self._connection.bounded_s
        for last in (False, True):
            try:
                return method_of(self._connection.wire)(request, timeout=bounded_s(timeout_s), metadata=metadata)
            except grpc.RpcError as error:
                failure, text = self._connection.judged(error, probing=probing)
                if last or failure is not Failure.TOKEN_EXPIRED:
                    raise read_error(failure, text) from error
            metadata = self._connection.metadata(other_than=metadata)
        raise AssertionError("the second attempt returns or raises")


def _first_ttl(lease: Any, request: Any, *, timeout: float, metadata: Metadata) -> int:
    """Return the answer to one keepalive on a stream of its own."""
    stream = lease.LeaseKeepAlive(iter([request]), timeout=timeout, metadata=metadata + REQUIRE_LEADER)
    for answer in stream:
        stream.cancel()
        ttl_s: int = answer.TTL
        return ttl_s
    raise StoreUnavailable("etcd: the keepalive stream ended without an answer")
