import pytest

from processor.etcd import requests
from tests.contracts.store_worlds import EtcdWorld, commit, committed
from tests.etcd.shard_steps import many, started, trimmed

pytestmark = pytest.mark.services


def test_entities_changed_behind_the_head_are_suspects_wherever_they_stand_in_history(
    world: EtcdWorld, epoch: int
) -> None:
    store, revision = started(world, epoch)
    revision = committed(store.send(commit(1, epoch, revision, *many(200))).result())
    revision = trimmed(store, 1, epoch, revision)
    world.transact(requests.put(world.keys.entity("model/00007"), b"edited"))
    for seq in (2, 3):
        revision = committed(store.send(commit(seq, epoch, revision, *many(1, b"%d" % seq, first=500))).result())
    world.transact(requests.put(world.keys.entity("model/00009"), b"edited"))
    assert store.suspects(store.load()) == ("model/00007", "model/00009", "model/00500")


def test_suspects_older_than_history_are_not_named(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    revision = committed(store.send(commit(1, epoch, revision, *many(2))).result())
    edited = world.transact(requests.put(world.keys.entity("model/00001"), b"edited"))
    revision = committed(store.send(commit(2, epoch, revision, *many(1, first=500))).result())
    snapshot = store.load()
    assert store.suspects(snapshot) == ("model/00001", "model/00500")
    assert edited.header.revision < revision
    world.client.compact(revision)
    assert store.suspects(snapshot) == ("model/00500",)
