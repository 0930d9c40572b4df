"""What is etcd's own in the store: overflow, staged commits, snapshots while others write, lost replies."""

import hashlib
import threading
from typing import Any

import msgspec
import pytest

from processor.engine.errors import InvalidRequest, OutcomeUnknown, ShardRefused, StoreUnavailable
from processor.engine.values import Announcement, Commit, Committed, Image, Refused, Tidying
from processor.etcd import requests
from processor.etcd.failures import CompactedError
from processor.etcd.layout import encode_head, numbered
from processor.etcd.snapshot import read_shard
from processor.etcd.store import EtcdStore
from processor.etcd.transaction import Limits, plan_commit
from tests.contracts.store_worlds import EtcdWorld, commit, entry, head
from tests.etcd.etcd_fake import LossyClient

pytestmark = pytest.mark.services


def noise(seed: int, size: int) -> bytes:
    blocks = (hashlib.sha256(b"%d-%d" % (seed, block)).digest() for block in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def many(count: int, value: bytes | None = b"v", first: int = 0) -> tuple[Image, ...]:
    return tuple(Image(f"model/{number:05}", value) for number in range(first, first + count))


def committed(answer: Committed | Refused) -> int:
    assert isinstance(answer, Committed), answer
    return answer.revision


def refused(answer: Committed | Refused) -> Refused:
    assert isinstance(answer, Refused), answer
    return answer


def started(world: EtcdWorld, epoch: int, store: EtcdStore | None = None) -> tuple[EtcdStore, int]:
    store = store or world.store()
    store.load()
    return store, committed(store.send(Commit(0, head(0, epoch))).result())


def tidied(store: EtcdStore, seq: int, epoch: int, revision: int) -> int:
    """Tidy until there is nothing to do, as an idle engine does."""
    for turn in range(100):
        flight = store.tidy(Tidying(revision, head(seq, epoch, commit_id=f"tidy-{turn}")))
        if flight is None:
            return revision
        revision = committed(flight.result())
    raise AssertionError("tidying does not end")


def staged(seq: int, epoch: int, revision: int, **fields: Any) -> Commit:
    """A commit of some 2 MiB that do not compress: 1.2 of announcements, 0.8 of entities."""
    announcements = tuple(Announcement(f"model/{n}", "T", noise(n, 150_000)) for n in range(8))
    images = tuple(Image(f"model/{n}", noise(n, 100_000)) for n in range(8))
    announced = entry(seq, epoch, announcements=announcements)
    return Commit(revision, head(seq, epoch, **fields), images, announced)


def test_a_thousand_entities_are_one_transaction_and_their_keys_follow(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    revision = committed(store.send(commit(1, epoch, revision, *many(1_000))).result())
    assert 0 < len(world.raw_entities()) < 128
    snapshot = world.store().load()
    assert snapshot.entities == tuple((image.key, b"v") for image in many(1_000))
    assert snapshot.head is not None
    assert snapshot.head.pending == 1_000 - len(world.raw_entities())
    tidied(store, 1, epoch, revision)
    assert world.raw_entities() == {image.key: b"v" for image in many(1_000)}
    assert world.keys_under(world.keys.delta) == []
    stands = store.peek().head
    assert stands is not None
    assert stands.pending == 0


def test_a_removal_of_what_a_delta_mentions_stays_removed_for_every_reader(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    revision = committed(store.send(commit(1, epoch, revision, *many(300))).result())
    revision = committed(store.send(commit(2, epoch, revision, *many(300, None))).result())
    assert world.store().load().entities == ()
    successor = world.store()
    successor.load()
    tidied(successor, 2, epoch, revision)
    assert world.raw_entities() == {}
    assert world.keys_under(world.keys.delta) == []


def test_the_capacity_shrinks_while_too_much_is_behind_and_grows_again(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch, world.store(Limits(delta_commits_max=1)))
    usual = store.capacity().entities_max
    assert usual > 128
    revision = committed(store.send(commit(1, epoch, revision, *many(300))).result())
    assert store.capacity().entities_max == 60
    tidied(store, 1, epoch, revision)
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
    revision = tidied(store, 1, epoch, revision)
    assert world.raw_entities() == {image.key: image.value for image in large.images}
    committed(store.send(commit(2, epoch, revision, announced_seq=1)).result())
    assert world.keys_under(world.keys.outbox) == [numbered(world.keys.outbox, 2)]


def test_every_part_of_a_staged_commit_may_be_lost_and_sent_again(world: EtcdWorld, epoch: int) -> None:
    lossy: Any = LossyClient(world.client)
    store, revision = started(world, epoch, EtcdStore(lossy, world.keys))
    large = staged(1, epoch, revision)
    steps = len(plan_commit(large, store._ground).steps)
    lossy.fates.extend(["reply lost", "request lost", "answered"] * steps)
    flight = store.send(large)
    unknown = 0
    answer: Committed | Refused | None = None
    while answer is None:
        try:
            answer = flight.result()
        except OutcomeUnknown:
            unknown += 1
            flight.again()
    assert unknown > steps
    revision = committed(answer)
    snapshot = world.store().load()
    assert snapshot.head_revision == revision
    assert snapshot.entities == tuple((image.key, image.value) for image in large.images)


def test_parts_of_a_commit_given_up_are_ignored_and_deleted_by_the_next_commit(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    for step in plan_commit(staged(1, epoch, revision), store._ground).steps[:-1]:
        assert world.client.transact(step).result().succeeded
    successor = world.store()
    snapshot = successor.load()
    assert (snapshot.entities, snapshot.outbox) == ((), ())
    assert len(world.keys_under(world.keys.delta)) > 1
    committed(successor.send(commit(1, epoch, revision, *many(1))).result())
    assert world.keys_under(world.keys.delta) == []
    assert world.keys_under(world.keys.outbox) == [numbered(world.keys.outbox, 1)]


def test_a_staged_commit_after_a_larger_one_given_up_is_read_as_its_own(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    for step in plan_commit(staged(1, epoch, revision), store._ground).steps[:-1]:
        assert world.client.transact(step).result().succeeded
    successor = world.store()
    successor.load()
    whole = staged(1, epoch, revision)
    smaller = msgspec.structs.replace(whole, images=whole.images[:5])
    committed(successor.send(smaller).result())
    assert world.store().load().entities == tuple((image.key, image.value) for image in smaller.images)


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


def test_a_write_that_was_applied_but_not_answered_is_committed_where_it_was(world: EtcdWorld, epoch: int) -> None:
    lossy: Any = LossyClient(world.client)
    store, revision = started(world, epoch, EtcdStore(lossy, world.keys))
    lossy.fates.append("reply lost")
    flight = store.send(commit(1, epoch, revision, *many(300)))
    with pytest.raises(OutcomeUnknown):
        flight.result()
    applied = store.peek().head_revision
    assert applied > revision
    flight.again()
    assert committed(flight.result()) == committed(flight.result()) == applied
    committed(store.send(commit(2, epoch, applied, *many(300, b"w"))).result())
    assert set(dict(world.store().load().entities).values()) == {b"w"}


def test_a_late_copy_of_a_former_owner_is_kept_out_by_the_owner_compare(world: EtcdWorld, epoch: int) -> None:
    lossy: Any = LossyClient(world.client)
    zombie, revision = started(world, epoch, EtcdStore(lossy, world.keys))
    lossy.fates.append("request lost")
    zombie.send(commit(1, epoch, revision, *many(1, b"late")))
    world.transact(requests.delete(world.keys.owner))
    assert world.ownership("second").campaign() is not None
    assert not world.client.transact(lossy.sent[-1]).result().succeeded
    assert world.store().load().entities == ()


def test_a_snapshot_is_of_one_revision_while_commits_go_on(world: EtcdWorld, epoch: int) -> None:
    store, revision = started(world, epoch)
    keys = many(100)
    stop = threading.Event()

    def write() -> None:
        seq, at = 0, revision
        while not stop.is_set():
            seq += 1
            images = tuple(Image(image.key, b"%d" % seq) for image in keys)
            at = committed(store.send(commit(seq, epoch, at, *images, announced_seq=seq - 1)).result())

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    for _ in range(2_000):
        if len(set(seen)) >= 20:
            break
        snapshot = world.store().load()
        assert snapshot.head is not None
        assert {value for _, value in snapshot.entities} <= {b"%d" % snapshot.head.seq}
        assert [stored.entry.seq for stored in snapshot.outbox] == [snapshot.head.seq] * bool(snapshot.head.seq)
        seen.append(snapshot.head.seq)
    stop.set()
    writer.join()
    assert len(set(seen)) >= 20
    assert seen == sorted(seen)


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


def test_a_newer_layout_refuses_the_shard(world: EtcdWorld, epoch: int) -> None:
    world.write_head_by_hand(head(0, epoch, layout=99))
    with pytest.raises(ShardRefused, match="layout 99"):
        world.store().load()


def test_entities_changed_behind_the_head_are_suspects_wherever_they_stand_in_history(
    world: EtcdWorld, epoch: int
) -> None:
    store, revision = started(world, epoch)
    revision = committed(store.send(commit(1, epoch, revision, *many(200))).result())
    revision = tidied(store, 1, epoch, revision)
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


def test_compacted_history_is_an_error_of_its_own(world: EtcdWorld) -> None:
    revision = world.transact(requests.put(b"/other", b"")).header.revision
    world.client.compact(world.transact(requests.put(b"/other", b"")).header.revision)
    with pytest.raises(CompactedError):
        list(world.client.pages(b"/", b"0", revision=revision, page_keys=10))


def test_a_head_repaired_by_hand_survives_a_load(world: EtcdWorld, epoch: int) -> None:
    started(world, epoch)
    repaired = head(0, epoch, commit_id="by hand")
    world.transact(
        requests.put(world.keys.head, encode_head(repaired)), requests.put(world.keys.entity("model/a"), b"x")
    )
    snapshot = world.store().load()
    assert (snapshot.head, snapshot.entities) == (repaired, (("model/a", b"x"),))
    assert snapshot.modified["model/a"] == snapshot.head_revision
