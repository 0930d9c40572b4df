"""What the engine may rely on of a store, whichever it is."""

from collections.abc import Iterator

import msgspec
import pytest

from processor.engine.announcements import Announcement, DeadLetter
from processor.engine.ports import Store
from processor.engine.values import Attempts, Commit, Conflict, Image, TrimRequest
from tests.contracts.store_worlds import (
    ATTEMPT,
    World,
    commit,
    committed,
    entry,
    head,
    images,
    open_world,
    owned,
    refused,
)


@pytest.fixture(params=["memory", pytest.param("etcd", marks=pytest.mark.services)])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    with open_world(request, namespace) as opened:
        yield opened


@pytest.fixture
def epoch(world: World) -> int:
    return owned(world.ownership("first").campaign())


@pytest.fixture
def store(world: World) -> Store:
    """A store that has loaded the empty shard."""
    loaded = world.store()
    loaded.load()
    return loaded


def test_an_empty_shard_is_read_as_absent(world: World) -> None:
    snapshot = world.store().load()
    assert (snapshot.head, snapshot.head_revision, snapshot.owner_epoch) == (None, 0, 0)
    assert (snapshot.entities, snapshot.outbox, snapshot.attempts) == ((), (), None)


def test_what_was_committed_is_what_another_store_loads(world: World, epoch: int) -> None:
    store = world.store()
    assert store.load().owner_epoch == epoch
    first = committed(store.send(commit(0, epoch, 0, *images(b=b"1", a=b"2"))).result())
    announced = entry(
        1,
        epoch,
        announcements=(Announcement("model/a", "T", b"\x00\xff", "00-1"), Announcement("model/b", "T", b"")),
        dead_letters=(DeadLetter(None, b"v", (("h", None), ("i", b"x"))),),
    )
    second = Commit(expected_revision=first, head=head(1, epoch), images=images(a=b"3", c=b"4"), outbox=announced)
    revision = committed(store.send(second).result())
    snapshot = world.store().load()
    assert snapshot.head == head(1, epoch)
    assert snapshot.head_revision == revision > first
    assert snapshot.entities == (("model/a", b"3"), ("model/b", b"1"), ("model/c", b"4"))
    assert snapshot.modified == {"model/a": revision, "model/b": first, "model/c": revision}
    assert [(stored.entry, stored.revision) for stored in snapshot.outbox] == [(announced, revision)]


def test_an_image_without_a_value_removes_the_entity(world: World, epoch: int, store: Store) -> None:
    first = committed(store.send(commit(0, epoch, 0, *images(a=b"1", b=b"2"))).result())
    committed(store.send(commit(1, epoch, first, *images(a=None, never=None))).result())
    assert world.store().load().entities == (("model/b", b"2"),)


def test_a_commit_built_on_an_older_head_is_refused_and_changes_nothing(world: World, epoch: int) -> None:
    store, other = world.store(), world.store()
    store.load()
    other.load()
    stands = committed(store.send(commit(0, epoch, 0, *images(a=b"1"))).result())
    refusal = refused(other.send(commit(0, epoch, 0, *images(a=b"2"), commit_id="other")).result())
    assert refusal == Conflict(head(0, epoch), stands, epoch)
    assert world.store().load().entities == (("model/a", b"1"),)


def test_a_head_written_by_hand_refuses_the_next_commit(world: World, epoch: int, store: Store) -> None:
    first = committed(store.send(commit(0, epoch, 0)).result())
    world.write_head_by_hand(head(0, epoch, commit_id="by hand"))
    refusal = refused(store.send(commit(1, epoch, first)).result())
    assert refusal.head == head(0, epoch, commit_id="by hand")
    assert refusal.head_revision > first


def test_a_commit_under_another_epoch_is_refused(epoch: int, store: Store) -> None:
    assert refused(store.send(commit(0, epoch + 1, 0)).result()) == Conflict(None, 0, epoch)


def test_a_commit_without_an_owner_is_refused(store: Store) -> None:
    assert refused(store.send(commit(0, 5, 0)).result()) == Conflict(None, 0, 0)


def test_a_late_copy_of_a_former_owner_is_refused_though_head_is_the_same(world: World, store: Store) -> None:
    zombie, successor = world.ownership("zombie"), world.ownership("successor")
    old = owned(zombie.campaign())
    late = commit(0, old, 0, *images(a=b"late"))
    world.lose_lease(zombie)
    new = owned(successor.campaign())
    assert refused(store.send(late).result()) == Conflict(None, 0, new)
    assert world.store().load().entities == ()


def test_the_identical_request_sent_again_after_it_was_applied_is_committed_at_the_first_revision(
    world: World, epoch: int, store: Store
) -> None:
    flight = store.send(commit(0, epoch, 0, *images(a=b"1")))
    world_revision = _wait_until_applied(world)
    flight.again()
    assert committed(flight.result()) == world_revision
    assert committed(store.send(commit(1, epoch, world_revision, *images(a=b"2"))).result()) > world_revision


def _wait_until_applied(world: World) -> int:
    while (stands := world.store().read_head()).head is None:
        pass
    return stands.head_revision


def test_peek_tells_head_and_owner(world: World, epoch: int) -> None:
    store = world.store()
    assert store.read_head() == Conflict(None, 0, epoch)
    store.load()
    revision = committed(store.send(commit(0, epoch, 0)).result())
    assert store.read_head() == Conflict(head(0, epoch), revision, epoch)


def test_entries_up_to_the_announced_seq_are_trimmed_by_the_next_commit(world: World, epoch: int, store: Store) -> None:
    revision = committed(store.send(commit(0, epoch, 0)).result())
    for seq in (1, 2, 3):
        revision = committed(store.send(commit(seq, epoch, revision)).result())
    committed(store.send(commit(4, epoch, revision, announced_seq=2)).result())
    assert [stored.entry.seq for stored in world.store().load().outbox] == [3, 4]


def test_tidying_trims_and_leaves_all_else_as_it_is(world: World, epoch: int, store: Store) -> None:
    revision = committed(store.send(commit(0, epoch, 0, *images(a=b"1"))).result())
    revision = committed(store.send(commit(1, epoch, revision)).result())
    trimmed = head(1, epoch, commit_id="trim", announced_seq=1)
    flight = store.trim(TrimRequest(expected_revision=revision, head=trimmed, epoch=epoch))
    assert flight is not None
    after = committed(flight.result())
    snapshot = world.store().load()
    assert (snapshot.head, snapshot.head_revision, snapshot.outbox) == (trimmed, after, ())
    assert snapshot.entities == (("model/a", b"1"),)
    assert committed(store.send(commit(2, epoch, after, announced_seq=1)).result()) > after


def test_there_is_nothing_to_tidy_when_all_that_was_announced_is_trimmed(epoch: int, store: Store) -> None:
    revision = committed(store.send(commit(0, epoch, 0)).result())
    revision = committed(store.send(commit(1, epoch, revision)).result())
    assert (
        store.trim(TrimRequest(expected_revision=revision, head=head(1, epoch, commit_id="trim"), epoch=epoch)) is None
    )


def test_a_tidying_on_an_older_head_is_refused(world: World, epoch: int) -> None:
    store, other = world.store(), world.store()
    store.load()
    revision = committed(store.send(commit(0, epoch, 0)).result())
    revision = committed(store.send(commit(1, epoch, revision)).result())
    other.load()
    committed(store.send(commit(2, epoch, revision)).result())
    flight = other.trim(
        TrimRequest(expected_revision=revision, head=head(1, epoch, commit_id="trim", announced_seq=1), epoch=epoch)
    )
    assert flight is not None
    assert refused(flight.result()).head == head(2, epoch)


def test_the_crash_counter_stands_until_a_commit_clears_it(world: World, epoch: int, store: Store) -> None:
    assert store.try_record(ATTEMPT, expected_revision=0, epoch=epoch)
    assert world.store().load().attempts == ATTEMPT
    cleared = msgspec.structs.replace(commit(0, epoch, 0), clear_attempts=True)
    committed(store.send(cleared).result())
    assert world.store().load().attempts is None


def test_the_crash_counter_is_refused_under_another_owner_or_head(world: World, epoch: int) -> None:
    store = world.store()
    assert not store.try_record(ATTEMPT, expected_revision=0, epoch=epoch + 1)
    assert not store.try_record(ATTEMPT, expected_revision=1, epoch=epoch)
    assert store.load().attempts is None


def test_a_commit_that_does_not_clear_the_crash_counter_leaves_it(world: World, epoch: int, store: Store) -> None:
    assert store.try_record(Attempts(clean=True), expected_revision=0, epoch=epoch)
    committed(store.send(commit(0, epoch, 0)).result())
    assert world.store().load().attempts == Attempts(clean=True)


def test_a_commit_above_the_capacity_is_a_commit_like_any_other(world: World, epoch: int, store: Store) -> None:
    many = tuple(Image(f"model/{number:06}", b"v%d" % number) for number in range(1_000))
    revision = committed(store.send(commit(0, epoch, 0, *many)).result())
    snapshot = world.store().load()
    assert snapshot.entities == tuple((image.key, image.value) for image in many)
    assert set(snapshot.modified.values()) == {revision}


def test_entities_changed_with_the_head_s_last_change_are_suspects_and_others_are_not(epoch: int, store: Store) -> None:
    revision = committed(store.send(commit(0, epoch, 0, *images(a=b"1", b=b"1"))).result())
    committed(store.send(commit(1, epoch, revision, *images(b=b"2", c=b"2"))).result())
    assert store.suspects(store.load()) == ("model/b", "model/c")
