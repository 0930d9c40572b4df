"""Repairs by hand that leave in the head what they changed: the next owner announces them, and nothing else."""

from base64 import b64encode
from typing import Any

import msgspec
import pytest

from processor.engine.inputs import TopicFacts
from processor.engine.operator.adoption import adopt
from processor.engine.operator.moving import Move, move, plan_move
from processor.engine.values import Head, Image
from tests.engine.test_reloading import edited, readings
from tests.engine.test_shard import report
from tests.engine.world import World


def stored(world: World) -> dict[str, bytes]:
    return dict(world.stored().entities)


def told(world: World, key: str) -> str | None:
    """Return what stands at an entity as a repair tells of it."""
    value = stored(world).get(key)
    return None if value is None else b64encode(value).decode()


def write(world: World, *images: Image, repaired: dict[str, str | None] | None = None) -> None:
    """Change entities by hand; with `repaired` the head, too."""

    def put(keys: Any, revision: int) -> None:
        for image in images:
            keys.put_entity(image.key, image.value, revision)
        if repaired is not None:
            keys.put_head(msgspec.structs.replace(keys.head, commit_id="by hand", repaired=repaired), revision)

    world.cluster.write(0, lambda _: True, put)


def worked() -> World:
    world = World()
    report(world, 3)
    world.run()
    return world


def repaired_world() -> World:
    """An entity is changed, one removed and one made, while nobody owns the shard."""
    world = worked()
    before = {key: told(world, key) for key in ("device/d0", "device/d1", "device/new")}
    write(world, edited("d0", 99), Image("device/d1", None), edited("new", 7), repaired=before)
    return world


def test_the_next_owner_announces_what_the_head_tells_of() -> None:
    world = repaired_world()
    report(world, 1, start=3)
    world.run()
    assert world.refusals == []
    assert [commit.kind for commit in world.commits()] == ["batch", "repair", "batch"]
    told_of = [(record.key, msgspec.json.decode(record.value or b"")[0]) for record in world.output("changes")][3:]
    assert told_of == [
        (b"device/d0", "update"),
        (b"device/d1", "delete"),
        (b"device/new", "create"),
        (b"device/d3", "create"),
    ]
    repair = world.commits()[1]
    assert (repair.ranges, repair.previous_digest) == ((), world.commits()[0].digest)
    assert (world.devices(), world.head.repaired) == ({"d0": 99, "d2": 1, "new": 7, "d3": 1}, {})


def test_repairs_one_after_the_other_are_announced_as_one() -> None:
    world = worked()
    write(world, edited("d0", 98), repaired={"device/d0": told(world, "device/d0")})
    write(world, edited("d1", 99), repaired={"device/d1": told(world, "device/d1"), **world.head.repaired})
    world.run()
    assert [commit.kind for commit in world.commits()] == ["batch", "repair"]
    assert readings(world)[3:] == [("device/d0", 1, 98), ("device/d1", 1, 99)]


@pytest.mark.parametrize(
    "hint",
    [
        {"device/d1": "SlsxMjM="},
        {"device/d0": None},
        {"device/d0": "no base64!"},
        {"device/d0": "AAAA"},
        {"nothing": None},
    ],
)
def test_a_hint_that_does_not_explain_the_difference_is_refused(hint: dict[str, str | None]) -> None:
    world = worked()
    write(world, edited("d0", 99), repaired=hint)
    world.run()
    (reason,) = world.refusals
    assert f"head.repaired tells of {next(iter(hint))}, which does not explain it" in reason
    assert world.numbers() == [0, 1, 2]


def test_an_edit_behind_the_back_of_a_repair_is_refused() -> None:
    world = repaired_world()
    write(world, edited("d2", 5))
    world.run()
    assert "changed without the head" in world.refusals[0]
    adopt(world.parts("tool"))
    world.run()
    assert world.devices()["d2"] == 5


def test_adopting_a_repair_announces_what_its_owner_would_have() -> None:
    world = repaired_world()
    adopt(world.parts("tool"))
    world.run()
    assert [commit.kind for commit in world.commits()] == ["batch", "repair"]
    assert len(world.numbers()) == 6
    assert msgspec.json.decode(world.output("changes")[3].value or b"")[1] is not None, "before is known"


def test_a_gap_accepted_meanwhile_keeps_the_repair_for_the_next_owner() -> None:
    world = repaired_world()

    def back(head: Head, facts: TopicFacts) -> Move:
        return plan_move(head, facts, {("normal", 0): 2}, topics=("normal",))

    move(world.parts("tool"), back, action="offsets-reset", by="me")
    world.run()
    assert world.refusals == []
    assert [commit.kind for commit in world.commits()][:3] == ["batch", "gap", "repair"]
