"""The processes that share the shards, as registered in etcd."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from processor.engine.assignment import Members
from processor.engine.errors import StoreUnavailable
from processor.etcd import requests
from processor.etcd.client import EtcdClient
from processor.etcd.failures import CompactedError
from processor.etcd.layout import Owner, ShardKeys, end_of, instances_folder
from processor.etcd.lease import InstanceLease

OWNERS_PER_READ = 64
"""Far below the operations that any server takes in one transaction."""


class EtcdMembership:
    """The port `Membership`: registers under the lease of this process, and reads the instances and the owners."""

    def __init__(self, client: EtcdClient, prefix: str, app: str, lease: InstanceLease, *, shards: int) -> None:
        self._client = client
        self._lease = lease
        self._folder = instances_folder(f"{prefix}/{app}")
        self._owner_keys = [ShardKeys(prefix, app, shard).owner for shard in range(shards)]

    @property
    def instance(self) -> str:
        """The id under which this process is listed."""
        return self._lease.owner.key

    def look(self) -> Members:
        """Return the members at one revision, linearizable, this process included. Raises StoreUnavailable.

        An instance that was deregistered by hand registers again.
        """
        self._lease.join()
        members = self._members()
        if self.instance not in members.instances:
            self._lease.leave()
            self._lease.join()
            members = self._members()
        return members

    def leave(self) -> None:
        """Deregister this instance; what we own stays ours. Raises StoreUnavailable."""
        self._lease.leave()

    def _members(self) -> Members:
        try:
            instances, owners = self._read()
        except CompactedError as error:
            raise StoreUnavailable(f"the owners could not be read at one revision: {error}") from error
        listed = {kv.key[len(self._folder) :].decode(): _owner_of(kv.value) for kv in instances}
        us = self._lease.owner
        return Members(
            tuple(listed),
            {shard: _owner_of(found[0].value).key for shard, found in enumerate(owners) if found},
            {key: _named(one) for key, one in listed.items() if one.instance == us.instance and key != us.key},
        )

    def _read(self) -> tuple[Sequence[Any], list[Sequence[Any]]]:
        """Return the key-values of the instances, and of each shard's owner."""
        everybody = requests.get(self._folder)
        everybody.request_range.range_end = end_of(self._folder)
        first, *rest = list(_chunks(self._owner_keys))
        answer = self._client.read(requests.transaction((), (everybody, *map(requests.get, first))))
        instances, *owners = _found(answer)
        for keys in rest:
            pinned = [requests.get(key, revision=answer.header.revision) for key in keys]
            owners += _found(self._client.read(requests.transaction((), pinned)))
        return instances, owners


def _chunks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (keys[start : start + OWNERS_PER_READ] for start in range(0, len(keys), OWNERS_PER_READ))


def _found(answer: Any) -> list[Sequence[Any]]:
    return [response.response_range.kvs for response in answer.responses]


def _named(owner: Owner) -> str:
    started = datetime.fromtimestamp(owner.since / 1000, UTC).isoformat(timespec="seconds")
    return f"{owner.key} (host {owner.host}, pid {owner.pid}, started {started})"


def _owner_of(value: bytes) -> Owner:
    return msgspec.json.decode(value, type=Owner)
