"""The life sign against real etcd; time is the test's where the lease only looks at its own clock."""

from collections.abc import Callable

import pytest

from processor.engine.errors import StoreUnavailable
from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient
from processor.etcd.layout import Owner, instances_folder
from processor.etcd.lease import InstanceLease
from tests.contracts.store_worlds import EtcdWorld
from tests.local_servers import LocalServer
from tests.waiting import wait_until

pytestmark = pytest.mark.services

PATIENCE_S = 30.0


def listed(world: EtcdWorld) -> list[str]:
    folder = instances_folder(world.root)
    return [key[len(folder) :].decode() for key in world.keys_under(folder)]


def test_who_has_a_lease_only_to_work_on_a_shard_is_not_listed(world: EtcdWorld) -> None:
    lease = InstanceLease(world.client, world.root, Owner("tools", "h", 1, 0), listed=False)
    assert lease.is_alive(lease.ensure())
    assert listed(world) == []
    lease.close()


def test_a_registration_under_a_lease_that_just_died_is_tried_again_with_a_new_one(world: EtcdWorld) -> None:
    lease = world.lease("one")
    world.client.revoke_lease(lease.ensure())
    lease.leave()
    with pytest.raises(StoreUnavailable, match="lease ended"):
        lease.join()
    lease.join()
    assert listed(world) == ["one"]


def test_live_instances_are_listed_until_they_close(world: EtcdWorld) -> None:
    first, second = world.lease("b-2"), world.lease("a-1")
    first.ensure()
    second.ensure()
    assert listed(world) == ["a-1", "b-2"]
    second.close()
    assert listed(world) == ["b-2"]


def test_one_lease_serves_as_long_as_it_lives(world: EtcdWorld) -> None:
    lease = world.lease("one")
    assert lease.ensure() == lease.ensure()
    assert lease.is_alive(lease.ensure())
    assert not lease.is_alive(0)


def test_a_lease_outlives_its_ttl_by_being_kept(world: EtcdWorld) -> None:
    lease = world.lease("one", ttl_s=2)
    lease_id = lease.ensure()
    first_deadline_s = lease._valid_until_s
    wait_until(lambda: lease._valid_until_s > first_deadline_s + 2)
    assert lease.is_alive(lease_id)
    assert listed(world) == ["one"]


def test_a_lease_that_was_revoked_is_lost_for_good_and_a_new_one_is_granted(world: EtcdWorld) -> None:
    lease = world.lease("one", ttl_s=2)
    lease_id = lease.ensure()
    world.client.revoke_lease(lease_id)
    wait_until(lambda: not lease.is_alive(lease_id))
    assert lease.ensure() != lease_id
    assert not lease.is_alive(lease_id)
    assert listed(world) == ["one"]


def test_without_an_answer_for_its_ttl_a_lease_is_lost_by_our_own_clock(world: EtcdWorld) -> None:
    now_s = 1_000.0
    lease = InstanceLease(world.client, world.root, Owner("one", "h", 1, 0), ttl_s=60, monotonic_s=lambda: now_s)
    lease_id = lease.ensure()
    now_s += 59
    assert lease.is_alive(lease_id)
    now_s += 1
    assert not lease.is_alive(lease_id)
    assert lease.ensure() != lease_id
    lease.close()


def test_an_answer_that_comes_too_late_does_not_revive_a_lease(world: EtcdWorld) -> None:
    now_s = 1_000.0
    lease = InstanceLease(world.client, world.root, Owner("one", "h", 1, 0), ttl_s=60, monotonic_s=lambda: now_s)
    lease_id = lease.ensure()
    now_s += 61
    assert lease._prolong(lease_id)
    assert not lease.is_alive(lease_id)
    lease.close()


def test_a_server_that_is_gone_costs_the_lease_within_its_ttl(own_etcd: Callable[..., LocalServer]) -> None:
    server = own_etcd()
    client = EtcdClient(Access((server.address,)))
    lease = InstanceLease(client, "/test/app", Owner("one", "h", 1, 0), ttl_s=2)
    lease_id = lease.ensure()
    server.kill()
    wait_until(lambda: not lease.is_alive(lease_id))
    with pytest.raises(StoreUnavailable):
        lease.ensure()
    server.start()
    wait_until(lambda: _is_granted(lease))
    lease.close()
    client.close()


def _is_granted(lease: InstanceLease) -> bool:
    try:
        return lease.ensure() != 0
    except StoreUnavailable:
        return False


def test_a_closed_lease_grants_nothing(world: EtcdWorld) -> None:
    lease = world.lease("one")
    lease_id = lease.ensure()
    lease.close()
    assert not lease.is_alive(lease_id)
    with pytest.raises(RuntimeError, match="closed"):
        lease.ensure()
