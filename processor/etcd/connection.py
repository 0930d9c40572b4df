"""The channel to etcd, and who we are there; both are made anew when the files that they were read from have changed.

etcd has passwords and certificates rotated, and rights revoked, while we run. A refusal is therefore no end: what came
from files is read again, at most every REREAD_INTERVAL_S, and the next call goes out with it. A channel that is
replaced lives on until no call can be under way on it any more.
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
from processor.etcd.channel import Access, open_channel
from processor.etcd.failures import Failure, failure_of, read_error, text_of
from processor.etcd.open_call import OpenCall

AUTHENTICATION_TIMEOUT_S = 3.0
REREAD_INTERVAL_S = 1.0
PROBE_INTERVAL_S = 5.0
LAST_CALLS_TIMEOUT_S = 0.2
"""What a call may take once `left_s` says that there is no time left: enough where the server is well."""
RETIRED_FOR_S = 60.0
"""Longer than any call takes."""

Metadata = tuple[tuple[str, str], ...]
Reread = Callable[[], Access]
"""Return how etcd is reached as the files are now. Raises InvalidRequest."""


class Wire:
    """One channel with its stubs."""

    def __init__(self, access: Access) -> None:
        self.channel = open_channel(access)
        self.kv = stubs.KVStub(self.channel)
        self.lease = stubs.LeaseStub(self.channel)
        self.watch = stubs.WatchStub(self.channel)
        self.maintenance = stubs.MaintenanceStub(self.channel)
        self.auth = stubs.AuthStub(self.channel)
        self.open_call = OpenCall(self.watch.Watch)

    def close(self) -> None:
        """End whatever is under way."""
        self.open_call.close()
        self.channel.close()


class Connection:
    """Safe from any thread. `reread` gives the access anew; None: it never changes. `left_s`: as EtcdClient has it."""

    def __init__(
        self,
        access: Access,
        reread: Reread | None = None,
        left_s: Callable[[], float] = lambda: inf,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.access = access
        self.wire = Wire(access)
        self._reread = reread
        self._left_s = left_s
        self._monotonic_s = monotonic_s
        self._probe_lock = threading.Lock()
        self._renewal_lock = threading.Lock()
        self._token_lock = threading.Lock()
        self._metadata: Metadata | None = None if access.username else ()
        self._retired: list[tuple[float, Wire]] = []
        self._reread_after_s = 0.0
        self._probed_after_s = 0.0
        self._trouble = ""
        self._cause = ""

    def metadata(self, *, other_than: Metadata | None = None) -> Metadata:
        """Return what goes with every call: the token, where there are users; another one than the stale one given.

        Raises StoreUnavailable, StoreDenied (wrong password).
        """
        with self._token_lock:
            if self._metadata is None or (self._metadata == other_than and self.access.username):
                self._metadata = (("token", self._fetch_token()),)
            return self._metadata

    def judged(self, error: grpc.RpcError, *, probing: bool = True) -> tuple[Failure, str]:
        """Return what to do about an error and what to tell people; the files are read again where that may help.

        `probing`: no connection may be explained by handshakes, which take a moment.
        """
        failure, text = failure_of(error), text_of(error)
        if failure is Failure.TOKEN_EXPIRED and not self.access.username:
            failure = Failure.DENIED  # there is no token to be had
        code = error.code()
        if failure is Failure.DENIED:
            renewed = self._renew()
            cause = diagnosis.refusal(error.details() or "", self.access)
            text = f"{text}: {cause}" if cause else text
        elif code is grpc.StatusCode.UNAVAILABLE:
            renewed = self.access.encrypted and self._renew()
            hurried = self._left_s() < PROBE_INTERVAL_S
            cause = self._probed(error) if probing and not hurried else self._cause
            if cause:
                failure, text = Failure.DENIED, f"etcd: {cause} ({code.name})"
        else:
            return failure, text
        return failure, f"{text}{'; what changed in the files is used from now on' if renewed else self._trouble}"

    def bounded_s(self, timeout_s: float) -> float:
        """Return a call's timeout with regard to the time that is left."""
        return min(timeout_s, max(LAST_CALLS_TIMEOUT_S, self._left_s()))

    def close(self) -> None:
        """Close the channels; whatever is under way ends with an error."""
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
        """Return why there is no connection; asked again now and then, and by one thread only."""
        if self._monotonic_s() >= self._probed_after_s and self._probe_lock.acquire(blocking=False):
            try:
                self._cause = diagnosis.unreachable(error, self.access)
                self._probed_after_s = self._monotonic_s() + PROBE_INTERVAL_S
            finally:
                self._probe_lock.release()
        return self._cause

    def _renew(self) -> bool:
        """Read the files again and use what changed; tell whether something did."""
        with self._renewal_lock:
            now_s = self._monotonic_s()
            if self._reread is None or now_s < self._reread_after_s:
                return False
            self._reread_after_s = now_s + REREAD_INTERVAL_S
            try:
                access = self._reread()
                changed = access != self.access
                if changed:
                    self._replace(access, now_s)
            except (InvalidRequest, StoreUnavailable) as error:
                self._trouble = f"; {error}"
                return False
            self._trouble = ""
            return changed

    def _replace(self, access: Access, now_s: float) -> None:
        if not access.has_channel_of(self.access):
            wire = Wire(access)
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
