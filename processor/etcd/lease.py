"""The lease of this process: a thread keeps it alive, and every key that the process owns is attached to it.

The server counts the TTL from when it *receives* a keepalive, we count it from when we *sent* it. So our deadline is
never later than the server's, and `is_alive` turns False before another process can own what we owned. Invariants:

* a lease that was lost is lost for good, even if the server still has it: an answer after the deadline does not revive
  it, because others may have been told already. `ensure` grants a new one, and revokes the old one as a courtesy;
* `_renewal` is held during calls to the server; `_lock` is not, so `is_alive` never waits for the network.

`EtcdOwnership` relies on the deadline; safety against a clock that jumps or a paused process comes from the epoch.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from processor.engine.errors import InvalidRequest, OutcomeUnknown, StoreUnavailable
from processor.etcd import requests
from processor.etcd.client import EtcdClient
from processor.etcd.failures import LeaseGoneError, not_written
from processor.etcd.layout import Owner, encode_owner, instances_folder

DEFAULT_TTL_S = 5
KEEPALIVES_PER_TTL = 3
RETRIES_PER_TTL = 12


class InstanceLease:
    """Registers `<root>instances/<id>` under a lease and keeps it. Safe from any thread.

    A lease is lost when the server answers TTL 0, or nothing for a TTL since the last answered keepalive was sent.
    An instance that is not `listed` has a lease and takes no shards.
    """

    def __init__(
        self,
        client: EtcdClient,
        root: str,
        owner: Owner,
        *,
        ttl_s: int = DEFAULT_TTL_S,
        listed: bool = True,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner = owner
        self.ttl_s = ttl_s
        self._client = client
        self._key = instances_folder(root) + owner.key.encode()
        self._monotonic_s = monotonic_s
        self._renewal = threading.Lock()  # held while the server is asked, which `is_alive` must not wait for
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._listed = listed
        self._listed_under = 0
        self._lease_id = 0
        self._valid_until_s = 0.0

    def ensure(self) -> int:
        """Return the id of a lease that is alive, granting and registering a new one if need be.

        Raises StoreUnavailable.
        """
        with self._renewal:
            if self._closed.is_set():
                raise RuntimeError("the lease was closed")
            lease_id = self._lease_id
            if not self.is_alive(lease_id):
                lease_id = self._replace(lease_id)
            if self._listed and self._listed_under != lease_id:
                self._register(lease_id)
            return lease_id

    def join(self) -> None:
        """Register this instance, for the first time or again after `leave`. Raises StoreUnavailable."""
        with self._renewal:
            self._listed = True
        self.ensure()

    def leave(self) -> None:
        """Deregister this instance; the lease, and what is owned under it, stays. Raises StoreUnavailable."""
        with self._renewal:
            self._listed = False
            if self._listed_under:
                self._write(requests.delete(self._key))
                self._listed_under = 0

    def is_alive(self, lease_id: int) -> bool:
        """Tell whether this very lease is still ours by our own clock."""
        with self._lock:
            return self._is_valid(lease_id)

    def give_up(self, lease_id: int) -> None:
        """Mark the lease as lost, as the server said."""
        with self._lock:
            if lease_id == self._lease_id:
                self._lease_id = 0

    def close(self) -> None:
        """Stop keeping the lease and revoke it, so that nobody has to wait for its end; safe to call twice."""
        self._closed.set()
        with self._lock:
            lease_id, self._lease_id = self._lease_id, 0
        self._revoke(lease_id)

    def _is_valid(self, lease_id: int) -> bool:
        return lease_id != 0 and lease_id == self._lease_id and self._monotonic_s() < self._valid_until_s

    def _replace(self, lost_id: int) -> int:
        self._revoke(lost_id)
        began_s = self._monotonic_s()
        lease_id = self._client.grant_lease(self.ttl_s)
        with self._lock:
            self._lease_id = lease_id
            self._valid_until_s = began_s + self.ttl_s
        threading.Thread(target=self._keep, args=(lease_id,), name="etcd-lease", daemon=True).start()
        return lease_id

    def _register(self, lease_id: int) -> None:
        try:
            self._write(attached(self._key, self, lease_id))
        except LeaseGoneError as error:
            self.give_up(lease_id)
            raise StoreUnavailable(f"the lease ended: {error}") from error
        self._listed_under = lease_id

    def _write(self, operation: Any) -> None:
        try:
            self._client.transact(requests.transaction((), (operation,))).result()
        except OutcomeUnknown as error:
            raise not_written(error, "whether the instance is registered is unknown") from error

    def _keep(self, lease_id: int) -> None:
        pause_s = self.ttl_s / KEEPALIVES_PER_TTL
        while not self._closed.wait(pause_s) and self.is_alive(lease_id):
            answered = self._prolong(lease_id)
            pause_s = self.ttl_s / (KEEPALIVES_PER_TTL if answered else RETRIES_PER_TTL)

    def _prolong(self, lease_id: int) -> bool:
        sent_s = self._monotonic_s()
        try:
            ttl_s = self._client.keep_alive(lease_id, timeout_s=self.ttl_s / KEEPALIVES_PER_TTL)
        except (StoreUnavailable, InvalidRequest, LeaseGoneError):
            return False  # the deadline decides
        with self._lock:
            # A late answer must not revive a lease that others were told is lost.
            if self._is_valid(lease_id):
                self._valid_until_s = sent_s + ttl_s
        return True

    def _revoke(self, lease_id: int) -> None:
        # Only a courtesy: a lease without keepalives ends by itself.
        with contextlib.suppress(StoreUnavailable, LeaseGoneError, InvalidRequest):
            if lease_id:
                self._client.revoke_lease(lease_id)


def attached(key: bytes, lease: InstanceLease, lease_id: int) -> Any:
    """Return the operation that puts our owner value under a key for as long as the lease lives."""
    return requests.put(key, encode_owner(lease.owner), lease_id=lease_id)
