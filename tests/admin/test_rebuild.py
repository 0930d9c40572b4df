"""A rebuild over the ports in memory; what the records give is said by the test."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from examples.device_twins.machine import Device, DeviceTwins, Twins
from processor.admin.rebuild import Rebuild
from processor.engine.errors import InvalidRequest, OwnershipLost, ShardRefused
from processor.engine.values import Head, Snapshot
from processor.memory.store import MemoryStore
from tests.engine.test_shard import report
from tests.engine.test_takeover import edited_world
from tests.engine.world import World


class Shadow:
    """A shadow in memory."""

    def __init__(self) -> None:
        self.kept: Snapshot | None = None

    def write(self, head: Head, values: Iterable[tuple[str, bytes]]) -> None:
        self.kept = Snapshot(1, head, 1, 0, tuple(values), {}, (), None)

    def read(self) -> Snapshot | None:
        return self.kept

    def remove(self) -> int:
        count = 0 if self.kept is None else len(self.kept.entities) + 1
        self.kept = None
        return count


class Fixed:
    """What a fixed build makes of the records: every device that the live state has, d1 with another reading."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked: list[tuple[int | None, int]] = []

    def __call__(self, state: Twins | None, head: Head | None, seq: int) -> Twins:
        self.asked.append((head.seq if head else None, seq))
        stored = MemoryStore(self._world.cluster, 0).load()
        entities: dict[str, Device] = (
            {} if state is None else {f"device/{name}": one for name, one in state.devices.items()}
        )
        for key, value in stored.entities:
            entities.setdefault(key, msgspec.json.decode(value[1:], type=Device))
        entities["device/d1"] = msgspec.structs.replace(entities["device/d1"], reading=99)
        return DeviceTwins().load(entities.items())


@pytest.fixture
def world() -> World:
    world = World()
    report(world, 3)
    world.run()
    return world


def _rebuild(world: World, shadow: Shadow, **parts: Any) -> Rebuild:
    return Rebuild(world.parts("tool", **parts), shadow, Fixed(world))


def test_making_it_compares_and_touches_nothing_but_the_shadow(world: World) -> None:
    shadow, before = Shadow(), world.stored()
    made = _rebuild(world, shadow).make()
    assert world.stored() == before
    assert (made.head, made.live.devices["d1"].reading, made.rebuilt.devices["d1"].reading) == (before.head, 1, 99)
    assert shadow.kept is not None
    assert shadow.kept.head is not None
    assert before.head is not None
    assert (shadow.kept.head.digest, shadow.kept.head.seq) == (made.digest, before.head.seq)
    assert made.digest != before.head.digest


def test_what_came_since_is_folded_on(world: World) -> None:
    shadow, fixed = Shadow(), Fixed(world)
    rebuild = Rebuild(world.parts("tool"), shadow, fixed)
    rebuild.make()
    report(world, 1, start=5)
    world.run()
    compared = rebuild.compare()
    assert fixed.asked == [(None, 1), (1, 2)]
    assert sorted(compared.rebuilt.devices) == sorted(compared.live.devices) == ["d0", "d1", "d2", "d5"]


def test_promoted_the_shadow_is_the_state_and_gone(world: World) -> None:
    shadow = Shadow()
    rebuild = _rebuild(world, shadow)
    made = rebuild.make()
    report(world, 1, start=5)
    world.run()
    swapped = rebuild.promote(by="someone", facts={"into": "fix"})
    assert [change.key for change in swapped.changes] == ["device/d1"]
    assert shadow.kept is None
    world.run()
    assert world.refusals == []
    assert [commit.kind for commit in world.commits()] == ["batch", "batch", "rebuild"]
    assert world.devices()["d1"] == 99
    assert made.live.devices["d1"].reading == 1


def test_promoting_twice_changes_nothing_the_second_time(world: World) -> None:
    shadow = Shadow()
    rebuild = _rebuild(world, shadow)
    rebuild.make()
    kept = shadow.kept
    rebuild.promote(by="someone", facts={})
    shadow.kept = kept  # killed before it could take the shadow away
    assert not rebuild.promote(by="someone", facts={}).needed
    assert shadow.kept is None


def test_an_owned_shard_keeps_its_state_and_its_shadow(world: World) -> None:
    shadow = Shadow()
    rebuild = _rebuild(world, shadow)
    rebuild.make()
    assert world.parts("owner").ownership.campaign() is not None
    with pytest.raises(OwnershipLost):
        rebuild.promote(by="someone", facts={})
    assert shadow.kept is not None


def test_what_was_not_made_is_not_promoted_and_not_compared(world: World) -> None:
    rebuild = _rebuild(world, Shadow())
    with pytest.raises(InvalidRequest, match="make it first"):
        rebuild.promote(by="someone", facts={})
    with pytest.raises(InvalidRequest, match="make it first"):
        rebuild.compare()
    assert rebuild.abort() == 0


class Newer(DeviceTwins):
    version = 2


def test_a_shadow_of_another_build_is_to_be_made_again(world: World) -> None:
    shadow = Shadow()
    _rebuild(world, shadow).make()
    with pytest.raises(InvalidRequest, match="reducer version 1, this build has 2: make it again"):
        _rebuild(world, shadow, machine=Newer()).promote(by="someone", facts={})


def test_a_shadow_that_was_edited_is_to_be_made_again(world: World) -> None:
    shadow = Shadow()
    rebuild = _rebuild(world, shadow)
    rebuild.make()
    assert shadow.kept is not None
    shadow.kept = msgspec.structs.replace(shadow.kept, entities=shadow.kept.entities[1:])
    with pytest.raises(InvalidRequest, match="not as it was made"):
        rebuild.promote(by="someone", facts={})


def test_a_live_state_that_was_edited_is_no_measure() -> None:
    world = edited_world()
    with pytest.raises(ShardRefused, match="processor shards adopt 0"):
        _rebuild(world, Shadow()).make()


def test_aborted_it_is_gone(world: World) -> None:
    shadow = Shadow()
    rebuild = _rebuild(world, shadow)
    rebuild.make()
    assert rebuild.abort() == 4
    assert shadow.kept is None
