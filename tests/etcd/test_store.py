"""What is etcd's own in the store: overflow, staged commits, lost replies."""

from typing import Any

import pytest

from processor.engine.errors import OutcomeUnknown
from processor.engine.values import TrimRequest
from processor.etcd.layout import numbered
from processor.etcd.limits import Limits
from processor.etcd.store import EtcdStore
from tests.contracts.store_worlds import EtcdWorld, commit, committed, head, refused
from tests.etcd.etcd_fake import LossyClient
from tests.etcd.shard_steps import many, staged, started, trimmed

pytestmark = pytest.mark.services


def test_a_thousand_entities_are_one_transaction_and_their_keys_follow(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    revision = committed(store.send(commit(1, epoch, revision, *many(1_000))).result())
    assert 0 < len(world.raw_entities()) < 128
    snapshot = world.store().load()
    assert snapshot.entities == tuple((image.key, b"v") for image in many(1_000))
    assert snapshot.head is not None
    assert snapshot.head.pending == 1_000 - len(world.raw_entities())
    trimmed(store, 1, epoch, revision)
    assert world.raw_entities() == {image.key: b"v" for image in many(1_000)}
    assert world.keys_under(world.keys.delta) == []
    stands = store.read_head().head
    assert stands is not None
    assert stands.pending == 0


def test_the_capacity_shrinks_while_too_much_is_behind_and_grows_again(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch, world.store(Limits(delta_commits_max=1)))
    usual = store.capacity().entities_max
    assert usual > 128
    revision = committed(store.send(commit(1, epoch, revision, *many(300))).result())
    assert store.capacity().entities_max == 60
    trimmed(store, 1, epoch, revision)
    assert store.capacity().entities_max == usual


def test_eager_capacity_fits_the_operations_and_leaves_a_quarter_to_what_is_behind(
    world: EtcdWorld, epoch: int
) -> None:
    store, revision = started(world, epoch, EtcdStore(world.client, world.keys, materialise="eager"))
    assert store.capacity().entities_max == 120
    revision = committed(store.send(commit(1, epoch, revision, *many(120))).result())
    assert world.keys_under(world.keys.delta) == []
    committed(store.send(commit(2, epoch, revision, *many(200))).result())
    assert store.capacity().entities_max == 90


def test_two_mebibytes_are_staged_and_read_back_whole(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    large = staged(1, epoch, revision)
    revision = committed(store.send(large).result())
    snapshot = world.store().load()
    assert snapshot.entities == tuple((image.key, image.value) for image in large.images)
    assert [(stored.entry, stored.revision) for stored in snapshot.outbox] == [(large.outbox, revision)]
    assert set(snapshot.modified.values()) == {revision}
    assert len(world.keys_under(world.keys.outbox)) > 2
    revision = trimmed(store, 1, epoch, revision)
    assert world.raw_entities() == {image.key: image.value for image in large.images}
    committed(store.send(commit(2, epoch, revision, announced_seq=1)).result())
    assert world.keys_under(world.keys.outbox) == [numbered(world.keys.outbox, 2)]


def test_a_part_refused_is_a_refusal_and_parts_left_are_deleted_after_the_reload(world: EtcdWorld, epoch: int) -> None:
    lossy: Any = LossyClient(world.client)
    store, revision = started(world, epoch, EtcdStore(lossy, world.keys))
    lossy.fates.extend(["answered", "request lost"])
    flight = store.send(staged(1, epoch, revision))
    with pytest.raises(OutcomeUnknown):
        flight.result()
    by_hand = head(0, epoch, commit_id="by hand")
    world.write_head_by_hand(by_hand)
    flight.again()
    assert refused(flight.result()).head == by_hand
    reloaded = store.load()
    committed(store.send(commit(1, epoch, reloaded.head_revision)).result())
    assert world.keys_under(world.keys.delta) == []


def test_a_store_that_was_refused_has_to_load_before_it_commits_again(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    world.write_head_by_hand(head(0, epoch, commit_id="by hand"))
    stands = refused(store.send(commit(1, epoch, revision)).result())
    with pytest.raises(RuntimeError, match="load first"):
        store.send(commit(1, epoch, stands.head_revision))


def test_a_failpoint_is_passed_before_a_transaction_that_trims_and_not_where_nothing_is_to_be_trimmed(
    world: EtcdWorld, epoch: int
) -> None:
    passed: list[str] = []
    store, revision = started(world, epoch, EtcdStore(world.client, world.keys, failpoint=passed.append))
    revision = committed(store.send(commit(1, epoch, revision, *many(1))).result())
    assert store.trim(TrimRequest(revision, head(1, epoch), epoch)) is None
    assert passed == []
    trimming = store.trim(TrimRequest(revision, head(1, epoch, announced_seq=1), epoch))
    assert passed == ["before_trim"]
    assert trimming is not None
    committed(trimming.result())
