"""The channel and the credentials for etcd; both are replaced when the files behind them change.

While we run, passwords and certificates are rotated, rights are revoked, and members come back under other addresses.
So a refusal is not final: the files are read again, at most every REREAD_INTERVAL_S, names are resolved again, and the
next call uses the result. A replaced channel stays open until no call can be in progress on it.
"""

import threading
import time
from collections.abc import Callable
from math import inf

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from processor.engine.errors import InvalidRequest, StoreUnavailable
from processor.etcd import diagnosis
from processor.etcd.channel import Access, open_channel, target_of
from processor.etcd.failures import Failure, failure_of, read_error, text_of
from processor.etcd.open_call import OpenCall

AUTHENTICATION_TIMEOUT_S = 3.0
REREAD_INTERVAL_S = 1.0
PROBE_INTERVAL_S = 5.0
LAST_CALLS_TIMEOUT_S = 0.2
"""Timeout of a call once `left_s` is 0: enough for a healthy server."""
RETIRED_FOR_S = 60.0
"""Longer than any call takes."""

Metadata = tuple[tuple[str, str], ...]
Reread = Callable[[], Access]
"""Return how etcd is reached as the files are now. Raises InvalidRequest."""
Resolve = Callable[[tuple[str, ...]], str]
"""Return gRPC's name for endpoints, resolved now. Raises StoreUnavailable."""


class Wire:
    """One channel with its stubs; `target` is grpc's name of the members."""

    def __init__(self, access: Access, target: str) -> None:
        self.target = target
        self.channel = open_channel(access, target)
        self.kv = stubs.KVStub(self.channel)
        self.lease = stubs.LeaseStub(self.channel)
        self.watch = stubs.WatchStub(self.channel)
        self.maintenance = stubs.MaintenanceStub(self.channel)
        self.auth = stubs.AuthStub(self.channel)
        self.open_call = OpenCall(self.watch.Watch)

    def close(self) -> None:
        """End the calls in progress."""
        self.open_call.close()
        self.channel.close()


class Connection:
    """Safe from any thread. `reread` gives the access anew; None: it never changes. `left_s`: as EtcdClient has it."""

    def __init__(
        self,
        access: Access,
        reread: Reread | None = None,
        left_s: Callable[[], float] = lambda: inf,
        resolve: Resolve = target_of,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.access = access
        self._resolve = resolve
        self.wire = Wire(access, self._target(access, otherwise=f"dns:///{access.endpoints[0]}"))
        self._reread = reread
        self._left_s = left_s
        self._monotonic_s = monotonic_s
        self._probe_lock = threading.Lock()
        self._renewal_lock = threading.Lock()
        self._token_lock = threading.Lock()
        self._metadata: Metadata | None = None if access.username else ()
        self._retired: list[tuple[float, Wire]] = []
        self._renewed_after_s = 0.0
        self._probed_after_s = 0.0
        self._trouble = ""
        self._cause = ""

    def metadata(self, *, other_than: Metadata | None = None) -> Metadata:
        """Return the metadata of every call: the token, if there are users, and not the stale one in `other_than`.

        Raises StoreUnavailable, StoreDenied (wrong password).
        """
        with self._token_lock:
            metadata = self._metadata
            if metadata is None or (metadata == other_than and self.access.username):
                metadata = self._metadata = (("token", self._fetch_token()),)
            return metadata

    def judged(self, error: grpc.RpcError, *, probing: bool = True) -> tuple[Failure, str]:
        """Return the class and the message of an error; the files are read again where that may help.

        `probing`: a missing connection may be explained by a handshake, which takes a moment.
        """
        failure, text = failure_of(error), text_of(error)
        if failure is Failure.TOKEN_EXPIRED and not self.access.username:
            failure = Failure.DENIED  # there is no token to be had
        code = error.code()
        if failure is Failure.DENIED:
            renewed = self._renew(resolving=False)
            cause = diagnosis.refusal(error.details() or "", self.access)
            text = f"{text}: {cause}" if cause else text
        elif code is grpc.StatusCode.UNAVAILABLE:
            at_leisure = probing and self._left_s() > PROBE_INTERVAL_S
            renewed = self._renew(resolving=at_leisure)
            cause = self._probed(error) if at_leisure else ""
            if cause:
                failure, text = Failure.DENIED, f"etcd: {cause} ({code.name})"
        else:
            return failure, text
        return failure, f"{text}{'; what has changed is used from now on' if renewed else self._trouble}"

    def bounded_s(self, timeout_s: float) -> float:
        """Return a call's timeout with regard to the time that is left."""
        return min(timeout_s, max(LAST_CALLS_TIMEOUT_S, self._left_s()))

    def close(self) -> None:
        """Close the channels; calls in progress end with an error."""
        for wire in (self.wire, *(wire for _, wire in self._retired)):
            wire.close()

    def _fetch_token(self) -> str:
        request = rpc.AuthenticateRequest(name=self.access.username, password=self.access.password)
        try:
            token: str = self.wire.auth.Authenticate(request, timeout=self.bounded_s(AUTHENTICATION_TIMEOUT_S)).token
        except grpc.RpcError as error:
            failure, text = self.judged(error)
            raise read_error(failure, text) from error
        return token

    def _probed(self, error: grpc.RpcError) -> str:
        """Return why there is no connection; probed every PROBE_INTERVAL_S, by one thread at a time."""
        if self._monotonic_s() >= self._probed_after_s and self._probe_lock.acquire(blocking=False):
            try:
                self._cause = diagnosis.unreachable(error, self.access)
                self._probed_after_s = self._monotonic_s() + PROBE_INTERVAL_S
            finally:
                self._probe_lock.release()
        return self._cause

    def _target(self, access: Access, *, otherwise: str) -> str:
        """Return the members' current addresses, `otherwise` while names cannot be resolved."""
        try:
            return self._resolve(access.endpoints)
        except StoreUnavailable:
            return otherwise

    def _renew(self, *, resolving: bool) -> bool:
        """Read the files, resolve the members' names, and use what changed; tell whether something did."""
        if self._monotonic_s() < self._renewed_after_s or not self._renewal_lock.acquire(blocking=False):
            return False
        try:
            access, target = self._reread_access(), self.wire.target
            if resolving and _adds(found := self._target(access, otherwise=target), target):
                target = found
            if access == self.access and target == self.wire.target:
                return False
            self._replace(access, target)
            return True
        finally:
            self._renewed_after_s = self._monotonic_s() + REREAD_INTERVAL_S
            self._renewal_lock.release()

    def _reread_access(self) -> Access:
        """Return the access from the files; while they are unusable, keep the current one and record why."""
        try:
            access = self._reread() if self._reread else self.access
        except InvalidRequest as error:
            self._trouble = f"; {error}"
            return self.access
        self._trouble = ""
        return access

    def _replace(self, access: Access, target: str) -> None:
        if target != self.wire.target or not access.has_channel_of(self.access):
            wire, now_s = Wire(access, target), self._monotonic_s()
            for since_s, old in self._retired:
                if now_s - since_s > RETIRED_FOR_S:
                    old.close()
            self._retired = [(since_s, old) for since_s, old in self._retired if now_s - since_s <= RETIRED_FOR_S]
            self._retired.append((now_s, self.wire))
            self.wire.open_call.close()
            self.wire = wire
            self._probed_after_s = 0.0
        self.access = access
        self._metadata = None if access.username else ()


def _adds(found: str, target: str) -> bool:
    """Tell whether `found` has an address that `target` lacks; both are names in gRPC's form."""
    return not set(found.partition(":")[2].split(",")) <= set(target.partition(":")[2].split(","))
