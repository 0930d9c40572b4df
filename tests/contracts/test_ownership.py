"""What the engine may rely on of an ownership, whichever it is."""

from collections.abc import Iterator

import pytest

from processor.engine.values import Attempts
from tests.contracts.store_worlds import World, open_world, owned
from tests.waiting import wait_until

PATIENCE_S = 20.0


@pytest.fixture(params=["memory", pytest.param("etcd", marks=pytest.mark.services)])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    with open_world(request, namespace) as opened:
        yield opened


def test_the_first_to_campaign_owns_and_the_second_does_not(world: World) -> None:
    first, second = world.ownership("first"), world.ownership("second")
    epoch = owned(first.campaign())
    assert second.campaign() is None
    assert first.verify(epoch)
    assert first.alive()
    assert world.store().read_head().owner_epoch == epoch


def test_nobody_is_alive_who_never_owned(world: World) -> None:
    assert not world.ownership("first").alive()


def test_campaigning_again_while_owning_gives_the_same_epoch(world: World) -> None:
    ownership = world.ownership("first")
    assert ownership.campaign() == ownership.campaign()


def test_epochs_grow_with_every_owner(world: World) -> None:
    first, second = world.ownership("first"), world.ownership("second")
    earlier = owned(first.campaign())
    first.release(earlier, clean=False)
    later = owned(second.campaign())
    assert later > earlier
    assert not first.verify(earlier)
    assert second.verify(later)


def test_a_clean_release_leaves_word_of_it(world: World) -> None:
    ownership = world.ownership("first")
    ownership.release(owned(ownership.campaign()), clean=True)
    snapshot = world.store().load()
    assert (snapshot.owner_epoch, snapshot.attempts) == (0, Attempts(clean=True))


def test_an_unclean_release_leaves_no_word(world: World) -> None:
    ownership = world.ownership("first")
    ownership.release(owned(ownership.campaign()), clean=False)
    assert world.store().load().attempts is None


def test_a_release_of_another_epoch_does_nothing(world: World) -> None:
    first, second = world.ownership("first"), world.ownership("second")
    earlier = owned(first.campaign())
    first.release(earlier, clean=False)
    later = owned(second.campaign())
    first.release(earlier, clean=True)
    assert second.verify(later)
    assert world.store().load().attempts is None


def test_a_lost_lease_makes_the_shard_vacant_and_the_loser_learns_of_it(world: World) -> None:
    first, second = world.ownership("first"), world.ownership("second")
    epoch = owned(first.campaign())
    world.lose_lease(first)
    assert second.campaign() is not None
    assert not first.verify(epoch)
    wait_until(lambda: not first.alive(), what="the loser has noticed")


def test_who_lost_its_lease_may_own_again_under_a_new_epoch(world: World) -> None:
    ownership = world.ownership("first")
    earlier = owned(ownership.campaign())
    world.lose_lease(ownership)
    wait_until(lambda: not ownership.alive(), what="the loser has noticed")
    assert owned(ownership.campaign()) > earlier
    assert ownership.alive()


def test_closing_gives_the_shard_up_at_once_and_may_be_done_twice(world: World) -> None:
    first, second = world.ownership("first"), world.ownership("second")
    first.campaign()
    first.close()
    first.close()
    assert not first.alive()
    assert second.campaign() is not None
