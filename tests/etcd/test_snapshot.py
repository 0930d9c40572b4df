"""Snapshots while others write and history is compacted, and snapshots of the past."""

from typing import Any

import msgspec
import pytest

from processor.engine.errors import InvalidRequest, StoreUnavailable
from processor.etcd import requests
from processor.etcd.layout import encode_head
from processor.etcd.snapshot import read_shard
from processor.etcd.store import EtcdStore
from tests.contracts.store_worlds import EtcdWorld, commit, committed, head
from tests.etcd.etcd_fake import LossyClient
from tests.etcd.shard_steps import many, started

pytestmark = pytest.mark.services


class CompactingClient(LossyClient):
    """Compacts everything before the first pages of the next snapshots are read."""

    compactions = 0

    def pages(self, start: bytes, end: bytes, **options: Any) -> Any:
        if self.compactions:
            self.compactions -= 1
            revision = self._client.transact(requests.transaction((), [requests.put(b"/other", b"")])).result()
            self._client.compact(revision.header.revision)
        return self._client.pages(start, end, **options)


def test_a_snapshot_whose_revision_is_compacted_starts_over_at_a_newer_one(world: EtcdWorld, epoch: int) -> None:
    started(world, epoch)
    client: Any = CompactingClient(world.client)
    client.compactions = 2
    snapshot = EtcdStore(client, world.keys).load()
    assert client.compactions == 0
    assert snapshot.head == head(0, epoch)


def test_a_snapshot_that_is_compacted_again_and_again_is_given_up(world: EtcdWorld, epoch: int) -> None:
    started(world, epoch)
    client: Any = CompactingClient(world.client)
    client.compactions = 1_000
    with pytest.raises(StoreUnavailable, match="compacted while they were read"):
        EtcdStore(client, world.keys).load()


def test_the_past_can_be_read_as_far_as_history_reaches(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    first = committed(store.send(commit(1, epoch, revision, *many(200, b"1"))).result())
    second = committed(store.send(commit(2, epoch, first, *many(200, b"2"))).result())
    past = read_shard(world.client, world.keys, at_revision=first).snapshot
    assert past.head == msgspec.structs.replace(head(1, epoch), pending=past.head.pending if past.head else -1)
    assert {value for _, value in past.entities} == {b"1"}
    world.client.compact(second)
    with pytest.raises(InvalidRequest, match=f"no longer reaches back to revision {first}"):
        read_shard(world.client, world.keys, at_revision=first)


def test_a_head_repaired_by_hand_survives_a_load(world: EtcdWorld, epoch: int) -> None:
    started(world, epoch)
    repaired = head(0, epoch, commit_id="by hand")
    world.transact(
        requests.put(world.keys.head, encode_head(repaired)), requests.put(world.keys.entity("model/a"), b"x")
    )
    snapshot = world.store().load()
    assert (snapshot.head, snapshot.entities) == (repaired, (("model/a", b"x"),))
    assert snapshot.modified["model/a"] == snapshot.head_revision
