"""Two states compared field by field."""

from processor.cluster.difference import count_by_kind, differences
from tests.cluster.world import World


def test_equal_states_do_not_differ() -> None:
    assert differences(World().state, World().state) == []


def test_what_differs_is_told_field_by_field() -> None:
    world = World()
    world.connect(memory=50)
    before = world.state
    world.load()
    found = differences(before, world.state)
    assert [(one["kind"], one["name"], one["op"]) for one in found] == [
        ("model", "iris", "create"),
        ("failure", "model/iris", "create"),
    ]
    created = {field["field"]: (field["before"], field["after"]) for field in found[0]["fields"]}
    assert created["name"] == (None, "iris")
    assert found[0]["transitions"]
    assert count_by_kind(found) == {"model": {"create": 1}, "failure": {"create": 1}}


def test_a_field_deep_inside_is_named_by_its_path() -> None:
    world = World()
    world.connect(memory=50)
    before = world.state
    world.connect(memory=60)
    (server,) = differences(before, world.state)
    fields = {field["field"]: (field["before"], field["after"]) for field in server["fields"]}
    assert fields["replicas.0.memory"] == (50, 60)
    assert [one["op"] for one in differences(world.state, World().state)] == ["delete"]
