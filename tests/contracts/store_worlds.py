"""The two worlds in which the store and ownership contracts are tested: memory and real etcd, one shard each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import pytest
from etcd3.etcdrpc import rpc_pb2 as rpc

from processor.engine.announcements import OutboxEntry
from processor.engine.errors import OutcomeUnknown, StoreUnavailable
from processor.engine.ports import InFlight, Ownership, Store
from processor.engine.values import Attempts, Commit, Committed, Conflict, Head, Image, Tried
from processor.etcd import requests
from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient
from processor.etcd.layout import Owner, ShardKeys, encode_head
from processor.etcd.lease import InstanceLease
from processor.etcd.limits import Limits
from processor.etcd.ownership import EtcdOwnership
from processor.etcd.store import EtcdStore
from processor.memory.cluster import MemoryCluster, Shard
from processor.memory.ownership import MemoryOwnership
from processor.memory.store import MemoryStore

SHARD = 0


class World(Protocol):
    """One shard of one store cluster; every store and ownership is that of another instance."""

    def store(self) -> Store: ...
    def ownership(self, instance: str) -> Ownership: ...
    def lose_lease(self, ownership: Ownership) -> None: ...
    def write_head_by_hand(self, head: Head) -> None: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.cluster = MemoryCluster()

    def store(self) -> Store:
        return MemoryStore(self.cluster, SHARD)

    def ownership(self, instance: str) -> Ownership:
        return MemoryOwnership(self.cluster, SHARD, instance)

    def lose_lease(self, ownership: Any) -> None:
        self.cluster.expire(ownership.lease)

    def write_head_by_hand(self, head: Head) -> None:
        self.cluster.write(SHARD, lambda _: True, lambda keys, revision: Shard.put_head(keys, head, revision))


class EtcdWorld:
    def __init__(self, endpoint: str, app: str) -> None:
        self.client = EtcdClient(Access((endpoint,)))
        self.root = f"/{app}/app"
        self.keys = ShardKeys(f"/{app}", "app", SHARD)
        self._leases: list[InstanceLease] = []

    def store(self, limits: Limits | None = None) -> EtcdStore:
        return EtcdStore(self.client, self.keys, limits=limits)

    def lease(self, instance: str, *, ttl_s: int = 5, unique: str = "") -> InstanceLease:
        lease = InstanceLease(self.client, self.root, Owner(instance, "host", 1, 0, unique), ttl_s=ttl_s)
        self._leases.append(lease)
        return lease

    def ownership(self, instance: str) -> EtcdOwnership:
        return EtcdOwnership(self.client, self.keys, self.lease(instance))

    def lose_lease(self, ownership: Any) -> None:
        self.client.revoke_lease(ownership._lease._lease_id)

    def write_head_by_hand(self, head: Head) -> None:
        self.transact(requests.put(self.keys.head, encode_head(head)))

    def transact(self, *operations: Any) -> Any:
        return self.client.transact(requests.transaction((), operations)).result()

    def value(self, key: bytes) -> bytes | None:
        found = self.transact(requests.get(key)).responses[0].response_range.kvs
        return found[0].value if found else None

    def keys_under(self, folder: bytes) -> list[bytes]:
        request = rpc.RangeRequest(key=folder, range_end=folder[:-1] + b"0", keys_only=True)
        return [kv.key for kv in self.client.kv.Range(request, timeout=5).kvs]

    def raw_entities(self) -> dict[str, bytes]:
        """What a reader sees that knows nothing of deltas."""
        request = rpc.RangeRequest(key=self.keys.state, range_end=self.keys.state[:-1] + b"0")
        return {self.keys.entity_of(kv.key): kv.value for kv in self.client.kv.Range(request, timeout=5).kvs}

    def close(self) -> None:
        for lease in self._leases:
            lease.close()
        self.client.close()


@contextmanager
def open_world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    """Give the world that the parameter of a fixture names."""
    if request.param == "memory":
        yield MemoryWorld()
        return
    world = EtcdWorld(request.getfixturevalue("etcd").endpoint, namespace)
    yield world
    world.close()


def owned(epoch: int | None) -> int:
    """Return the epoch that a campaign has won."""
    assert epoch is not None
    return epoch


def committed(answer: Committed | Conflict) -> int:
    """Return the revision of a commit that has to succeed."""
    assert isinstance(answer, Committed), answer
    return answer.revision


def refused(answer: Committed | Conflict) -> Conflict:
    """Return the state that stands in the way of a commit."""
    assert isinstance(answer, Conflict), answer
    return answer


def settled(flight: InFlight) -> Committed | Conflict:
    """Return the answer to a request that is sent again as often as its outcome is unknown."""
    for _ in range(100):
        try:
            return flight.result()
        except OutcomeUnknown:
            flight.again()
    raise AssertionError("never answered")


def answers(client: EtcdClient) -> bool:
    """Tell whether a server answers."""
    try:
        client.ping()
    except StoreUnavailable:
        return False
    return True


def head(seq: int, epoch: int, **fields: Any) -> Head:
    """A head as a commit of this seq would write it."""
    values: dict[str, Any] = {
        "commit_id": f"{epoch}-{seq}",
        "committed_ms": 1_000 + seq,
        "positions": {"normal": {0: seq}},
        "topics": {"normal": "id"},
        "digest": f"{seq:032x}",
        "reducer_version": 1,
    }
    return Head(seq=seq, epoch=epoch, **(values | fields))


def entry(seq: int, epoch: int, **fields: Any) -> OutboxEntry:
    values: dict[str, Any] = {"announcements": (), "dead_letters": (), "commit_record": b"record %d" % seq}
    return OutboxEntry(seq=seq, epoch=epoch, committed_ms=1_000 + seq, first_number=0, **(values | fields))


def commit(seq: int, epoch: int, expected: int, *images: Image, **fields: Any) -> Commit:
    """A commit of these images; `fields` go into its head."""
    return Commit(
        expected_revision=expected,
        head=head(seq, epoch, **fields),
        images=images,
        outbox=entry(seq, epoch) if seq else None,
    )


def images(**values: bytes | None) -> tuple[Image, ...]:
    return tuple(Image(f"model/{name}", value) for name, value in values.items())


ATTEMPT = Attempts(tried=(Tried("normal", 0, 7, 1),))
