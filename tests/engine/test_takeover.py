from typing import Any

import msgspec
import pytest

from examples.device_twins.machine import Device, DeviceTwins
from processor.engine.errors import OwnershipLost, ShardRefused
from processor.engine.health import ShardStatus
from processor.engine.operator.adoption import adopt, plan_adoption
from processor.engine.shard import ShardRunner
from processor.engine.values import Image
from tests.engine.test_shard import edit, report
from tests.engine.world import JsonCodec, World


def test_the_first_start_writes_seq_zero_with_the_positions_and_topic_ids() -> None:
    world = World()
    world.run()
    head = world.head
    assert (head.seq, head.positions) == (0, {"high": {0: 0}, "normal": {0: 0}})
    assert set(head.topics) == {"high", "normal", "changes", "commits", "dead-letters"}
    assert world.commits() == []


def test_a_first_start_at_latest_leaves_what_is_there_already() -> None:
    world = World()
    report(world, 3)
    world.run(world.parts(start="latest"))
    report(world, 2, start=3)
    world.run()
    assert sorted(world.devices()) == ["d3", "d4"]


class Newer(DeviceTwins):
    version = 2


def test_a_newer_reducer_upgrades_the_state_with_a_commit_of_its_own() -> None:
    world = World()
    report(world, 3)
    world.run()
    parts = world.parts(machine=Newer())
    world.run(msgspec.structs.replace(parts, identity=msgspec.structs.replace(parts.identity, reducer_version=2)))
    last = world.commits()[-1]
    assert (last.kind, last.ranges, last.reducer_version) == ("upgrade", (), 2)
    assert last.digest == last.previous_digest


class NewerCodec(JsonCodec):
    """Writes the place of a device besides, which an older value does not have."""

    def encode(self, key: str, entity: Any) -> bytes:
        del key
        return b"K" + msgspec.json.encode({"device": entity, "place": "unknown"})

    def decode(self, key: str, value: bytes) -> Any:
        if value.startswith(b"J"):
            return super().decode(key, value)
        return msgspec.convert(msgspec.json.decode(value[1:])["device"], Device)

    def is_current(self, key: str, value: bytes) -> bool:
        del key
        return value.startswith(b"K")


def test_entities_keep_their_older_form_until_they_change_and_the_digest_counts_the_newer_one() -> None:
    world = World()
    report(world, 3)
    world.run()
    parts = world.parts()
    identity = msgspec.structs.replace(parts.identity, reducer_version=2)
    newer: dict[str, Any] = {"machine": Newer(), "encoder": NewerCodec(), "identity": identity}
    world.run(world.parts(**newer))
    upgrade = world.commits()[-1]
    assert (upgrade.kind, upgrade.digest == upgrade.previous_digest) == ("upgrade", False)
    report(world, 1, start=1, reading=2)
    for _ in range(2):
        world.run(world.parts(**newer))
    assert world.refusals == []
    assert [value[:1] for _, value in world.stored().entities] == [b"J", b"K", b"J"]
    last = world.commits()[-1]
    assert (last.kind, last.previous_digest) == ("batch", upgrade.digest)
    announced = msgspec.json.decode(world.output("changes")[-1].value or b"")
    assert [msgspec.json.decode(side)["place"] for side in announced[1:3]] == ["unknown", "unknown"]


def test_an_older_reducer_refuses_the_state_of_a_newer_one() -> None:
    world = World()
    report(world, 3)
    parts = world.parts(machine=Newer())
    world.run(msgspec.structs.replace(parts, identity=msgspec.structs.replace(parts.identity, reducer_version=2)))
    world.run()
    (reason,) = world.refusals
    assert "made by reducer version 2, this build has 1" in reason


def edited_world() -> World:
    """Two commits; then an entity of the first is edited. What the last commit wrote cannot be told from an edit."""
    world = World()
    report(world, 3)
    world.run()
    report(world, 1, start=3)
    world.run()
    image = Image("device/d0", JsonCodec().encode("", Device("d0", 99, 1, 1)))
    edit(world, image, with_head=False)
    return world


def test_adopting_names_the_edited_entity_and_changes_nothing_before_it_is_asked_to() -> None:
    world = edited_world()
    before = world.stored()
    plan = plan_adoption(world.parts("tool"))
    assert plan.needed
    assert plan.named == ("device/d0", "device/d3")
    assert world.stored() == before


def test_an_adopted_edit_is_announced_by_the_next_owner_and_processing_goes_on() -> None:
    world = edited_world()
    adopt(world.parts("tool"))
    report(world, 1, start=4)
    world.run()
    assert world.refusals == []
    assert [commit.kind for commit in world.commits()] == ["batch", "batch", "repair", "batch"]
    assert world.numbers() == list(range(7))
    adopted = msgspec.json.decode(world.output("changes")[4].value or b"")
    assert adopted[:2] == ["update", None]
    assert world.devices()["d0"] == 99


def test_an_owned_shard_is_not_adopted() -> None:
    world = edited_world()
    owner = world.parts("owner")
    assert owner.ownership.campaign() is not None
    with pytest.raises(OwnershipLost, match="shard 0 is owned"):
        adopt(world.parts("tool"))


def test_a_sound_state_is_not_adopted() -> None:
    world = World()
    report(world, 3)
    world.run()
    assert not plan_adoption(world.parts("tool")).needed
    with pytest.raises(ShardRefused, match="nothing to adopt"):
        adopt(world.parts("tool"))


def test_an_owner_that_only_tidies_leaves_the_epoch_of_the_last_commit() -> None:
    world = World()
    report(world, 3)
    world.run()
    before = world.head
    parts = world.parts("two")
    deadline_s = world.clock.seconds + 5
    runner = ShardRunner(parts, status=ShardStatus(0), stopping=lambda: world.clock.seconds > deadline_s)
    runner.run()
    after = world.head
    assert world.refusals == []
    assert (after.epoch, after.seq) == (before.epoch, before.seq)
    assert (before.announced_seq, after.announced_seq) == (0, 1)
