from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from examples.device_twins.machine import Device
from processor.engine.announcements import OutputRecord
from processor.engine.digest import MODULUS, digest_hex, entity_digest
from processor.engine.errors import InvalidRequest, SinkUnavailable, SinkUnclear
from processor.engine.health import ShardStatus
from processor.engine.limits import Capacity
from processor.engine.shard import ShardRunner
from processor.engine.values import Image
from processor.memory.sink import MemorySink
from processor.memory.store import MemoryStore
from tests.engine.world import TOPICS, JsonCodec, World


def report(world: World, count: int, *, start: int = 0, reading: int = 1) -> None:
    for number in range(start, start + count):
        world.submit("DeviceReported", device=f"d{number}", reading=reading)


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("speculate", [False, True])
def test_events_become_state_commits_and_numbered_announcements(
    speculate: bool,  # noqa: FBT001 - parametrised
    background: bool,  # noqa: FBT001 - as above
) -> None:
    world = World(speculate=speculate, background=background, batch_events_max=10)
    report(world, 35)
    world.submit("DeviceReported", high=True, device="first", reading=7)
    world.run()
    assert world.devices() == {"first": 7} | {f"d{number}": 1 for number in range(35)}
    assert world.numbers() == list(range(36))
    commits = world.commits()
    assert [commit.seq for commit in commits] == list(range(1, len(commits) + 1))
    assert commits[0].ranges[0].topic == "high"
    assert sum(commit.changed for commit in commits) == 36
    assert [name for item in world.reports for name in item.announcement_types] == ["DeviceChanged"] * 36


def test_each_commit_carries_the_digest_of_the_state_after_it() -> None:
    world = World(batch_events_max=10)
    report(world, 25)
    world.run()
    snapshot = world.stored()
    codec = JsonCodec()
    total = sum(entity_digest(key, codec.body(value)) for key, value in snapshot.entities) % MODULUS
    assert snapshot.head is not None
    assert snapshot.head.digest == digest_hex(total)
    commits = world.commits()
    assert commits[-1].digest.hex() == snapshot.head.digest
    assert [c.digest for c in commits[:-1]] == [c.previous_digest for c in commits[1:]]


def test_what_changes_nothing_is_committed_with_the_next_change_or_after_a_while() -> None:
    world = World(batch_events_max=10)
    report(world, 5)
    world.run()
    report(world, 5)
    world.run()
    last = world.commits()[-1]
    assert (last.changed, last.announcements) == (0, 0)
    assert [(run.outcome, run.count) for run in last.outcomes] == [("unchanged", 4)], "the first was tried alone"
    assert world.numbers() == list(range(5))


def test_rejections_are_announced_after_changes_and_dead_letters_keep_the_bytes() -> None:
    world = World()
    world.submit_raw(b"\xff no json")
    world.submit("DeviceRetired", device="ghost")
    world.submit("DeviceReported", device="a", reading=1)
    world.submit("DeviceReported", device="a", reading="high")
    world.run()
    assert [record.key for record in world.output("changes")] == [
        b"device/a",
        b"rejected/normal-1",
        b"rejected/normal-3",
    ]
    (letter,) = world.output("dead-letters")
    assert letter.value == b"\xff no json"
    outcomes = [(run.outcome, run.count) for run in world.commits()[0].outcomes]
    assert outcomes == [("dead_lettered", 1), ("rejected", 1), ("applied", 1), ("rejected", 1)]


def test_a_second_run_goes_on_where_the_first_stopped() -> None:
    world = World()
    report(world, 3)
    world.run()
    report(world, 3, start=3)
    world.run()
    assert len(world.devices()) == 6
    assert world.numbers() == list(range(6))
    epochs = [commit.epoch for commit in world.commits()]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) == 2


def test_a_batch_that_touches_too_much_is_cut() -> None:
    world = World(capacity=Capacity(entities_max=7, bytes_max=1 << 20))
    report(world, 30)
    world.run()
    assert [commit.changed for commit in world.commits()] == [7, 7, 7, 7, 2]


def test_a_batch_that_weighs_too_much_is_cut() -> None:
    world = World(capacity=Capacity(entities_max=100, bytes_max=1000))
    report(world, 30)
    world.run()
    assert len(world.commits()) > 2
    assert len(world.devices()) == 30


class Dropping(MemorySink):
    """Loses the connection at chosen transactions: before or after the broker took them."""

    def __init__(self, *arguments: Any, fail_at: Sequence[int], applied: bool) -> None:
        super().__init__(*arguments)
        self._fail_at, self._applied, self.calls, self.opens = set(fail_at), applied, 0, 0

    def open(self) -> None:
        self.opens += 1
        super().open()

    def publish(self, records: Sequence[OutputRecord]) -> None:
        self.calls += 1
        failing = self.calls in self._fail_at
        if not failing or self._applied:
            super().publish(records)
        if failing:
            raise SinkUnclear("no answer")


@pytest.mark.parametrize("applied", [False, True])
def test_an_unclear_output_transaction_is_settled_by_the_tails(applied: bool) -> None:  # noqa: FBT001 - parametrised
    world = World(batch_events_max=5)
    sink = Dropping(world.broker, TOPICS, 0, "app-0", fail_at=[1, 2], applied=applied)
    report(world, 20)
    world.run(world.parts(sink=sink))
    assert sink.opens == 3
    assert world.numbers() == list(range(20))
    assert [commit.seq for commit in world.commits()] == [1, 2, 3, 4]


class Away(MemorySink):
    """Cannot be opened a few times after its first opening."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.refusals, self.opened = 3, False

    def open(self) -> None:
        if self.opened and self.refusals:
            self.refusals -= 1
            raise SinkUnavailable("the broker is away")
        self.opened = True
        super().open()

    def publish(self, records: Sequence[OutputRecord]) -> None:
        if self.refusals:
            raise SinkUnclear("no answer")
        super().publish(records)


def test_commits_go_on_while_the_output_is_away_and_are_announced_later() -> None:
    world = World(batch_events_max=5)
    sink = Away(world.broker, TOPICS, 0, "app-0")
    report(world, 20)
    world.run(world.parts(sink=sink))
    assert sink.refusals == 0
    assert world.numbers() == list(range(20))
    told = [event for event, _ in world.log]
    assert (told.count("service_away"), told.count("service_back")) == (1, 1)


def test_an_output_that_stays_behind_pauses_the_shard_at_its_bound() -> None:
    world = World(batch_events_max=5, pending_commits_max=2)
    sink = Away(world.broker, TOPICS, 0, "app-0")
    report(world, 50)
    world.run(world.parts(sink=sink))
    assert any("the output is behind" in str(fields.get("reason")) for _, fields in world.log)
    assert world.numbers() == list(range(50))


def edit(world: World, image: Image, *, with_head: bool) -> None:
    """Change an entity by hand, with or without the head."""
    shard = world.cluster._shards[0]

    def put(keys: Any, revision: int) -> None:
        keys.put_entity(image.key, image.value, revision)
        if with_head:
            keys.put_head(msgspec.structs.replace(keys.head, commit_id="by hand"), revision)

    assert shard is not None
    world.cluster.write(0, lambda _: True, put)


def edited(reading: int) -> Image:
    return Image("device/d0", JsonCodec().encode("", Device("d0", reading, 1, 1)))


class Interrupting(MemoryStore):
    """Does something else just before the n-th commit."""

    def __init__(self, world: World, before: Any, at: int = 2) -> None:
        super().__init__(world.cluster, 0, world.capacity)
        self._before, self._at, self.sends = before, at, 0
        self.commit_ids: set[str] = set()

    def send(self, commit: Any) -> Any:
        self.sends += 1
        self.commit_ids.add(commit.head.commit_id)
        if self.sends == self._at:
            self._before()
        return super().send(commit)


@pytest.mark.parametrize("speculate", [False, True])
def test_an_edit_with_the_head_is_announced_as_a_repair_and_processing_goes_on(speculate: bool) -> None:  # noqa: FBT001 - parametrised
    world = World(batch_events_max=5, speculate=speculate)
    report(world, 20)
    store = Interrupting(world, lambda: edit(world, edited(99), with_head=True), at=3)
    world.run(world.parts(store=store))
    kinds = [commit.kind for commit in world.commits()]
    assert kinds.count("repair") == 1
    repair = world.commits()[kinds.index("repair")]
    assert (repair.ranges, repair.changed) == ((), 1)
    assert world.devices() == {"d0": 99} | {f"d{number}": 1 for number in range(1, 20)}
    assert len(store.commit_ids) == store.sends, "an answer that is lost is told from others by the id"
    assert world.numbers() == list(range(21))


def test_an_edit_without_the_head_is_refused_at_the_next_load() -> None:
    world = World()
    report(world, 3)
    world.run()
    edit(world, edited(99), with_head=False)
    runner = world.run()
    assert runner.status.health.phase == "stopped"
    (reason,) = world.refusals
    assert "device/d0" in reason


def test_an_owner_that_lost_the_shard_neither_commits_nor_announces() -> None:
    world = World(batch_events_max=5)
    report(world, 20)
    other = world.parts("two")

    def robbed() -> None:
        world.cluster.expire(parts.ownership.lease)  # type: ignore[attr-defined]
        world.run(other)

    parts = world.parts(store=Interrupting(world, robbed, at=3))
    world.run(parts)
    assert "ownership_lost" in [event for event, _ in world.log]
    assert len(world.devices()) == 20
    assert world.numbers() == list(range(20))
    epochs = [commit.epoch for commit in world.commits()]
    assert epochs == sorted(epochs)


class Wordy(JsonCodec):
    """Makes a huge announcement of one device."""

    def change(self, change: Any, **rest: Any) -> Any:
        made = super().change(change, **rest)
        return msgspec.structs.replace(made, value=bytes(2_000_000)) if change.name == "d7" else made


def test_an_event_whose_announcement_is_too_large_is_put_aside_alone() -> None:
    world = World()
    report(world, 12)
    world.run(world.parts(encoder=Wordy()))
    (letter,) = world.output("dead-letters")
    assert dict(letter.headers)["dead-letter-code"] == b"transition_too_large"
    assert len(world.devices()) == 11
    assert world.numbers() == list(range(11))


def test_a_breaker_pauses_and_a_good_record_closes_it() -> None:
    world = World(batch_events_max=10, dead_letters_max_consecutive=20)
    for _ in range(20):
        world.submit_raw(b"bad")
    report(world, 5)
    began_s = world.clock.seconds
    world.run()
    assert world.clock.seconds - began_s >= 30
    assert len(world.output("dead-letters")) == 20
    assert len(world.devices()) == 5


def test_a_restored_backup_is_refused() -> None:
    world = World()
    report(world, 3)
    world.run()
    empty = World()
    world.cluster = empty.cluster
    world.run()
    (reason,) = world.refusals
    assert "restored from an older backup" in reason


def test_an_owner_that_finds_nothing_to_do_trims_what_its_predecessor_left() -> None:
    world = World(batch_events_max=10, trim_after_ms=1)
    report(world, 25)
    world.run()
    assert world.stored().outbox
    looks = iter(range(2000))
    ShardRunner(world.parts("two"), status=ShardStatus(0), stopping=lambda: next(looks, None) is None).run()
    assert world.stored().outbox == ()
    assert not {"reloaded", "shard_refused"} & {event for event, _ in world.log}


class Narrow(MemoryStore):
    """Takes no entity named d7, as a store refuses one that exceeds a request."""

    def send(self, commit: Any) -> Any:
        if any(image.key == "device/d7" for image in commit.images):
            raise InvalidRequest("device/d7 is too large")
        return super().send(commit)


def test_an_event_whose_entity_the_store_cannot_take_is_put_aside_alone() -> None:
    world = World()
    report(world, 12)
    world.run(world.parts(store=Narrow(world.cluster, 0, world.capacity)))
    (letter,) = world.output("dead-letters")
    assert dict(letter.headers)["dead-letter-code"] == b"transition_too_large"
    assert len(world.devices()) == 11
