"""What the engine may rely on of a membership, whichever it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from processor.engine.ports import Membership, Ownership
from processor.etcd import requests
from processor.etcd.layout import ShardKeys, instances_folder, unique_id
from processor.etcd.membership import EtcdMembership
from processor.etcd.ownership import EtcdOwnership
from processor.memory.cluster import MemoryCluster
from processor.memory.ownership import MemoryMembership, MemoryOwnership
from tests.contracts.store_worlds import EtcdWorld
from tests.services import Etcd
from tests.waiting import wait_until

SHARDS = 130
"""More than one read can ask for."""


@dataclass(frozen=True)
class Member:
    """One process: its membership, its claims by shard, and ways to end its lease or to strike it off from outside."""

    membership: Membership
    ownership: Callable[[int], Ownership]
    lose_lease: Callable[[], None]
    strike_off: Callable[[], object]


class MemoryWorld:
    def __init__(self) -> None:
        self._cluster = MemoryCluster()

    def member(self, instance: str) -> Member:
        membership = MemoryMembership(self._cluster, instance, shards=SHARDS)
        owned: list[MemoryOwnership] = []

        def ownership(shard: int) -> Ownership:
            owned.append(MemoryOwnership(self._cluster, shard, instance))
            return owned[-1]

        def lose_lease() -> None:
            for lease in (membership.lease, *(claim.lease for claim in owned)):
                self._cluster.expire(lease)

        return Member(membership, ownership, lose_lease, lambda: self._cluster.dismiss(instance))


class RealWorld:
    def __init__(self, endpoint: str, app: str) -> None:
        self._world = EtcdWorld(endpoint, app)
        self._prefix = f"/{app}"

    def member(self, instance: str, unique: str = "") -> Member:
        client, lease = self._world.client, self._world.lease(instance, ttl_s=2, unique=unique)
        key = instances_folder(f"{self._prefix}/app") + instance.encode()
        return Member(
            EtcdMembership(client, self._prefix, "app", lease, shards=SHARDS),
            lambda shard: EtcdOwnership(client, ShardKeys(self._prefix, "app", shard), lease),
            lambda: client.revoke_lease(lease.ensure()),
            lambda: client.transact(requests.transaction((), (requests.delete(key),))).result(),
        )

    def close(self) -> None:
        self._world.close()


World = MemoryWorld | RealWorld


@pytest.fixture(params=["memory", pytest.param("etcd", marks=pytest.mark.services)])
def world(request: pytest.FixtureRequest) -> Any:
    return MemoryWorld() if request.param == "memory" else request.getfixturevalue("real")


@pytest.fixture
def real(etcd: Etcd, namespace: str) -> Iterator[RealWorld]:
    opened = RealWorld(etcd.endpoint, namespace)
    yield opened
    opened.close()


def test_whoever_looks_is_among_the_instances(world: World) -> None:
    first, second = world.member("b"), world.member("a")
    assert first.membership.look().instances == ("b",)
    assert second.membership.look().instances == ("a", "b")
    assert first.membership.look().instances == ("a", "b")


def test_an_instance_is_listed_under_what_it_says(world: World) -> None:
    member = world.member("b")
    assert member.membership.look().instances == (member.membership.instance,)


def test_owners_are_named_by_shard_and_a_shard_without_owner_is_missing(world: World) -> None:
    first, second = world.member("first"), world.member("second")
    for member, shard in ((first, 0), (second, 5), (first, SHARDS - 1)):
        assert member.ownership(shard).campaign() is not None
    assert second.membership.look().owners == {0: "first", 5: "second", SHARDS - 1: "first"}


def test_a_shard_that_was_given_up_has_no_owner(world: World) -> None:
    member = world.member("first")
    ownership = member.ownership(3)
    epoch = ownership.campaign()
    assert epoch is not None
    ownership.release(epoch, clean=True)
    assert member.membership.look().owners == {}


def test_who_leaves_is_no_instance_and_keeps_what_it_owns(world: World) -> None:
    leaver, other = world.member("leaver"), world.member("other")
    leaver.membership.look()
    ownership = leaver.ownership(1)
    epoch = ownership.campaign()
    leaver.membership.leave()
    members = other.membership.look()
    assert (members.instances, members.owners) == (("other",), {1: "leaver"})
    assert epoch is not None
    assert ownership.alive()
    assert ownership.verify(epoch)


def test_leaving_may_be_done_twice_and_without_ever_having_joined(world: World) -> None:
    leaver, other = world.member("leaver"), world.member("other")
    leaver.membership.leave()
    leaver.membership.look()
    leaver.membership.leave()
    leaver.membership.leave()
    assert other.membership.look().instances == ("other",)


def test_campaigning_after_leaving_does_not_bring_it_back(world: World) -> None:
    leaver, other = world.member("leaver"), world.member("other")
    leaver.membership.leave()
    assert leaver.ownership(0).campaign() is not None
    assert other.membership.look().instances == ("other",)


def test_who_left_is_back_with_its_next_look(world: World) -> None:
    leaver = world.member("leaver")
    leaver.membership.look()
    leaver.membership.leave()
    assert leaver.membership.look().instances == ("leaver",)


def test_who_was_struck_off_is_back_with_its_next_look_and_has_kept_what_it_owns(world: World) -> None:
    member, other = world.member("first"), world.member("other")
    member.membership.look()
    assert member.ownership(4).campaign() is not None
    member.strike_off()
    assert other.membership.look().instances == ("other",)
    members = member.membership.look()
    assert (members.instances, members.owners) == (("first", "other"), {4: "first"})


def test_who_lost_its_lease_is_no_instance_and_owns_nothing_until_it_looks_again(world: World) -> None:
    loser, other = world.member("loser"), world.member("other")
    loser.membership.look()
    ownership = loser.ownership(2)
    ownership.campaign()
    loser.lose_lease()
    members = other.membership.look()
    assert (members.instances, members.owners) == (("other",), {})
    wait_until(lambda: not ownership.alive(), what="the loser has noticed")
    assert loser.membership.look().instances == ("loser", "other")


def test_two_processes_of_one_name_are_told_apart(real: RealWorld) -> None:
    first, second = (real.member("same", unique_id("same")) for _ in range(2))
    first.membership.look()
    members = second.membership.look()
    assert set(members.instances) == {first.membership.instance, second.membership.instance}
    assert len(members.instances) == 2
    assert first.ownership(0).campaign() is not None
    assert second.membership.look().owners == {0: first.membership.instance}
    assert members.namesakes == {
        first.membership.instance: f"{first.membership.instance} (host host, pid 1, started 1970-01-01T00:00:00+00:00)"
    }
    assert first.membership.look().namesakes.keys() == {second.membership.instance}


def test_a_build_without_ids_is_counted_by_its_name(real: RealWorld) -> None:
    old, new = real.member("same"), real.member("same", unique_id("same"))
    old.membership.look()
    assert old.ownership(0).campaign() is not None
    members = new.membership.look()
    assert set(members.instances) == {"same", new.membership.instance}
    assert members.owners == {0: "same"}
