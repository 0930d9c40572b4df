"""A state folded anew is swapped in: one commit, announced by the next owner."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from examples.device_twins.machine import Device, DeviceTwins, Twins
from processor.engine.announcements import Announcement
from processor.engine.errors import InvalidRequest, OwnershipLost, ShardRefused
from processor.engine.operator.swapping import swap
from processor.engine.values import Head
from processor.memory.sink import MemorySink
from tests.engine.test_shard import report
from tests.engine.test_takeover import edited_world
from tests.engine.world import TOPICS, JsonCodec, World


class NarrowSink(MemorySink):
    """Takes next to nothing."""

    def record_bytes_max(self) -> int:
        return 10


def _fold(*devices: tuple[str, int]) -> Callable[[Head], Twins]:
    """A fold that gives devices with these readings."""
    entities = [(f"device/{name}", Device(name, reading, 1, 1)) for name, reading in devices]
    return lambda _head: DeviceTwins().load(entities)


def _as_it_is(world: World) -> list[tuple[str, Any]]:
    parts = world.parts("tool")
    return [(key, parts.encoder.decode(key, value)) for key, value in parts.store.load().entities]


@pytest.fixture
def world() -> World:
    world = World()
    report(world, 3)
    world.run()
    return world


def test_the_difference_is_one_commit_that_the_next_owner_announces(world: World) -> None:
    entities = dict(_as_it_is(world))
    entities["device/d1"] = msgspec.structs.replace(entities["device/d1"], reading=99)
    del entities["device/d2"]
    seen: list[Head] = []

    def fold(head: Head) -> Twins:
        seen.append(head)
        return DeviceTwins().load(entities.items())

    before = world.head
    swapped = swap(world.parts("tool"), fold, by="someone", facts={"into": "fix"})
    assert seen == [before]
    assert [change.key for change in swapped.changes] == ["device/d1", "device/d2"]
    assert len(world.output("changes")) == 3, "the tool publishes nothing"
    report(world, 1, start=4)
    world.run()
    assert world.refusals == []
    assert world.devices() == {"d0": 1, "d1": 99, "d4": 1}
    batch, rebuild, later = world.commits()
    assert (rebuild.kind, rebuild.ranges, rebuild.outcomes, rebuild.changed) == ("rebuild", (), (), 2)
    assert (rebuild.previous_digest, later.previous_digest) == (batch.digest, rebuild.digest)
    assert world.numbers() == list(range(6))
    assert [msgspec.json.decode(record.value or b"")[0] for record in world.output("changes")[3:5]] == [
        "update",
        "delete",
    ]
    (entry,) = world.cluster.read(0, lambda keys, _: keys.audit)
    assert (entry.action, entry.by, entry.seq) == ("rebuild", "someone", rebuild.seq)
    assert entry.facts == {
        "into": "fix",
        "changed": 2,
        "digest_before": batch.digest.hex(),
        "digest": rebuild.digest.hex(),
    }


def test_without_a_difference_nothing_is_committed(world: World) -> None:
    before = world.head
    entities = _as_it_is(world)
    assert not swap(world.parts("tool"), lambda _: DeviceTwins().load(entities), by="someone", facts={}).needed
    assert world.head == before


def test_an_owned_shard_is_left_alone(world: World) -> None:
    assert world.parts("owner").ownership.campaign() is not None
    with pytest.raises(OwnershipLost, match="shard 0 is owned"):
        swap(world.parts("tool"), _fold(("d0", 77)), by="someone", facts={})
    assert world.devices()["d0"] == 1


def test_a_state_that_was_edited_is_to_be_adopted_first() -> None:
    world = edited_world()
    with pytest.raises(ShardRefused, match="processor shards adopt 0 --execute"):
        swap(world.parts("tool"), _fold(("d0", 77)), by="someone", facts={})
    assert world.parts("other").ownership.campaign() is not None


def test_what_could_not_be_published_is_not_committed(world: World) -> None:
    parts = world.parts("tool", sink=NarrowSink(world.broker, TOPICS, 0, "tool"))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="the output's topics take 10"):
        swap(parts, _fold(("d0", 77)), by="someone", facts={})
    assert world.devices()["d0"] == 1


def test_what_could_be_announced_only_in_part_is_not_committed(world: World) -> None:
    class Omitting(JsonCodec):
        def change(self, change: Any, **rest: Any) -> Announcement:
            return msgspec.structs.replace(super().change(change, **rest), omitted=("after",))

    with pytest.raises(InvalidRequest, match="device/d0, device/d1, device/d2 cannot be announced"):
        swap(world.parts("tool", encoder=Omitting()), _fold(("d0", 77)), by="someone", facts={})


def test_a_fold_that_fails_gives_the_shard_back(world: World) -> None:
    def fold(_: Head) -> Twins:
        raise ShardRefused("records are gone")

    with pytest.raises(ShardRefused, match="records are gone"):
        swap(world.parts("tool"), fold, by="someone", facts={})
    assert world.parts("other").ownership.campaign() is not None
