"""Edits by hand that meet an owner at an awkward moment."""

from collections.abc import Callable
from typing import Any

import msgspec

from examples.device_twins.machine import Device, DeviceTwins
from processor.engine.values import Commit, Image
from processor.memory.store import MemoryInFlight, MemoryStore
from tests.engine.test_shard import edit, report
from tests.engine.world import JsonCodec, World


class Meddled(MemoryStore):
    """Does something of its own just before chosen commits; the first has number 1."""

    def __init__(self, world: World, before: dict[int, Callable[[], None]]) -> None:
        super().__init__(world.cluster, 0, world.capacity)
        self._before = before
        self._sends = 0

    def send(self, commit: Commit) -> MemoryInFlight:
        self._sends += 1
        self._before.get(self._sends, lambda: None)()
        return super().send(commit)


def edited(name: str, reading: int) -> Image:
    return Image(f"device/{name}", JsonCodec().encode("", Device(name, reading, 1, 1)))


def readings(world: World) -> list[tuple[str, Any, Any]]:
    """Return key, reading before and reading after of each announcement of a device."""
    told = [(record.key, msgspec.json.decode(record.value or b"")) for record in world.output("changes")]
    return [
        ((key or b"").decode(), *(text and msgspec.json.decode(text)["reading"] for text in body[1:3]))
        for key, body in told
    ]


def test_an_edit_that_meets_the_repair_of_another_is_announced_together_with_it() -> None:
    world = World(batch_events_max=5)
    report(world, 10)
    meddling = {
        3: lambda: edit(world, edited("d0", 98), with_head=True),
        4: lambda: edit(world, edited("d1", 99), with_head=True),
    }
    world.run(world.parts(store=Meddled(world, meddling)))
    (repair,) = [commit for commit in world.commits() if commit.kind == "repair"]
    assert repair.changed == 2
    assert [commit.attempts for commit in world.commits()][:3] == [1, 3, 1], "a batch and two repairs met an edit"
    assert readings(world)[5:7] == [("device/d0", 1, 98), ("device/d1", 1, 99)]
    digests = [commit.digest for commit in world.commits()]
    assert [commit.previous_digest for commit in world.commits()[1:]] == digests[:-1]


class Newer(DeviceTwins):
    version = 2


def test_an_upgrade_that_meets_an_edit_is_sent_again_and_takes_the_state_as_it_stands() -> None:
    world = World(batch_events_max=5)
    report(world, 5)
    world.run()
    report(world, 1, start=5)
    parts = world.parts(machine=Newer())
    store = Meddled(world, {1: lambda: edit(world, edited("d0", 99), with_head=True)})
    identity = msgspec.structs.replace(parts.identity, reducer_version=2)
    world.run(msgspec.structs.replace(parts, identity=identity, store=store))
    assert [(commit.kind, commit.reducer_version) for commit in world.commits()] == [
        ("batch", 1),
        ("upgrade", 2),
        ("batch", 2),
    ]
    assert world.numbers() == list(range(6))
    assert world.devices() == {"d0": 99} | {f"d{number}": 1 for number in range(1, 6)}
