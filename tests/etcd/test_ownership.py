"""What is etcd's own in owning a shard: lost replies, dead leases, broken watches."""

from typing import Any

import pytest

from processor.engine.errors import StoreUnavailable
from processor.etcd.layout import ShardKeys
from processor.etcd.ownership import EtcdOwnership
from tests.contracts.store_worlds import EtcdWorld, owned
from tests.etcd.etcd_fake import LossyClient

pytestmark = pytest.mark.services

PATIENCE_S = 30.0


def test_a_campaign_whose_reply_was_lost_is_found_won_the_next_time(world: EtcdWorld) -> None:
    lossy: Any = LossyClient(world.client)
    ownership = EtcdOwnership(lossy, world.keys, world.lease("one"))
    lossy.fates.append("reply lost")
    with pytest.raises(StoreUnavailable, match="campaign was not answered"):
        ownership.campaign()
    assert not ownership.alive()
    stands = world.store().read_head().owner_epoch
    assert ownership.campaign() == stands > 0
    assert ownership.alive()


def test_a_campaign_with_a_lease_that_just_died_is_tried_again_with_a_new_one(world: EtcdWorld) -> None:
    lease = world.lease("one")
    ownership = EtcdOwnership(world.client, world.keys, lease)
    world.client.revoke_lease(lease.ensure())
    with pytest.raises(StoreUnavailable, match="lease ended"):
        ownership.campaign()
    assert ownership.campaign() is not None


def test_one_lease_owns_several_shards_and_losing_it_loses_all_of_them(world: EtcdWorld) -> None:
    lease = world.lease("one")
    shards = [
        EtcdOwnership(world.client, ShardKeys(world.root.removesuffix("/app"), "app", shard), lease)
        for shard in range(2)
    ]
    epochs = [owned(shard.campaign()) for shard in shards]
    world.client.revoke_lease(lease.ensure())
    lease.give_up(lease.ensure())
    renewed = owned(shards[0].campaign())
    assert shards[0].alive()
    assert not shards[1].alive()
    assert not shards[1].verify(epochs[1])
    assert renewed > epochs[0]


def test_a_release_whose_reply_was_lost_is_done_once(world: EtcdWorld) -> None:
    lossy: Any = LossyClient(world.client)
    ownership = EtcdOwnership(lossy, world.keys, world.lease("one"))
    epoch = owned(ownership.campaign())
    lossy.fates.extend(["reply lost", "request lost"])
    ownership.release(epoch, clean=True)
    assert world.store().read_head().owner_epoch == 0


def test_a_release_without_any_answer_says_that_the_lease_will_decide(world: EtcdWorld) -> None:
    lossy: Any = LossyClient(world.client)
    ownership = EtcdOwnership(lossy, world.keys, world.lease("one"))
    epoch = owned(ownership.campaign())
    lossy.fates.extend(["request lost"] * 3)
    with pytest.raises(StoreUnavailable, match="could not be deleted"):
        ownership.release(epoch, clean=True)
