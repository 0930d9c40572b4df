import pytest

from tests.cluster.world import World


def details(world: World) -> dict[str, str]:
    return {entry["server"]: entry["code"] for entry in world.latest()["placement_failure"]["details"]}


@pytest.mark.parametrize("count", [1, 8, 9, 300])
def test_all_requirements_must_be_met_however_many_there_are(count: int) -> None:
    words = [f"word-{number}" for number in range(count)]
    world = World()
    world.connect("s1", capabilities=[*words[:-1], "another"])
    world.connect("s2", capabilities=[*words, "another"])
    world.load(requirements=words)
    assert world.latest()["server"] == "s2"
    world.disconnect("s2")
    assert details(world) == {"s1": "insufficient", "s2": "no_replicas"}


@pytest.mark.parametrize(("memory", "freed", "status"), [(100, 100, "Progressing"), (101, 100, "ScheduleFailed")])
def test_what_was_learnt_about_a_full_server_is_forgotten_when_it_gets_room(
    memory: int, freed: int, status: str
) -> None:
    world = World()
    world.connect(memory=100)
    world.load("ant", memory=100)
    world.loaded("ant", available_memory=0)
    world.routed("ant")
    world.load("iris", memory=memory)
    world.unload("ant")
    world.routed("ant")
    world.unloaded("ant", available_memory=freed)
    assert world.latest("iris")["status"] == status


def test_the_memory_of_full_servers_is_always_an_upper_bound() -> None:
    world = World()
    world.connect("s1", memory=100)
    world.connect("s2", memory=300)
    world.load("ant", memory=80)
    world.load("bee", memory=80)
    demand = ("", (), 1)
    assert dict(world.state.headroom.of(demand).servers) == {"s1": 20}
    world.report("LoadFailed", "ant")
    assert dict(world.state.headroom.of(demand).servers) == {}
