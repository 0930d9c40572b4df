import pytest

from tests.cluster.world import World


def details(world: World) -> dict[str, str]:
    return {entry["server"]: entry["code"] for entry in world.latest()["placement_failure"]["details"]}


def test_every_server_says_why_it_did_not_take_a_pinned_model() -> None:
    world = World()
    world.declare("s1")
    world.connect("s2", shared=False)
    world.connect("s3")
    world.declare("s3", expected_replicas=0)
    world.load(server="s3")
    assert details(world) == {"s1": "no_replicas", "s2": "pinned_elsewhere", "s3": "expects_none"}
    assert world.latest()["placement_failure"]["code"] == "no_matching_server"


def test_every_server_says_why_it_did_not_take_a_free_model() -> None:
    world = World()
    world.connect("s1", memory=99)
    world.connect("s2", shared=False)
    world.load()
    assert details(world) == {"s1": "insufficient", "s2": "not_shared"}
    assert world.latest()["placement_failure"]["code"] == "insufficient_replicas"


def test_available_replicas_come_before_loading_ones_and_those_before_free_memory() -> None:
    world = World()
    for replica in range(3):
        world.connect(replica=replica, memory=200 + 100 * replica)
    world.load(replicas=2)
    assert world.states() == {"1": "LoadRequested", "2": "LoadRequested"}
    world.loaded(replica=1, available_memory=0)
    world.routed()
    world.load(replicas=1)
    assert world.states() == {"1": "Available", "2": "UnloadRequested"}


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


def test_reserved_memory_counts_all_that_is_still_to_load() -> None:
    world = World()
    world.connect(memory=250)
    world.load("ant", memory=50, instances=2)
    world.load("bee", memory=100)
    world.load("cat", memory=100)
    assert world.latest("bee")["status"] == "Progressing"
    assert world.latest("cat")["status"] == "ScheduleFailed"


def test_a_partly_held_version_moves_as_a_new_version_and_the_old_one_serves_on() -> None:
    world = World()
    world.connect("s1", memory=100)
    world.serve()
    for replica in (0, 1):
        world.connect("s2", replica)
    world.load(replicas=2)
    assert [version["server"] for version in world.model()["versions"]] == ["s1", "s2"]
    assert world.states(place=0) == {"0": "Available"}
    assert world.latest()["status_since_ms"] == world.at_ms


def test_the_min_pass_prefers_the_bound_server_among_equals() -> None:
    world = World()
    world.connect("s2", 0)
    world.load(replicas=1, min_replicas=1)
    world.connect("s1", 0)
    world.load(replicas=3, min_replicas=1)
    assert world.latest()["server"] == "s2"


def test_the_min_pass_takes_no_fewer_than_the_minimum() -> None:
    world = World()
    world.connect()
    world.load(replicas=3, min_replicas=2)
    assert world.latest()["status"] == "ScheduleFailed"


def test_a_failed_placement_leaves_what_serves_and_clears_a_binding_with_nothing_left() -> None:
    world = World()
    world.connect(memory=100)
    world.serve()
    world.load(replicas=2)
    assert world.latest()["server"] == "s1"
    assert world.states() == {"0": "Available"}
    world.load(replicas=1)
    world.report("Unloading")
    world.load(replicas=0)
    world.routed()
    world.unloaded(available_memory=0)
    world.load(replicas=1)
    assert world.latest()["server"] == ""
    assert world.states() == {}


def test_an_orphan_that_is_wanted_again_is_no_orphan_any_more() -> None:
    world = World()
    world.connect(loaded_models=[{"model": "iris", "version": 1}, {"model": "iris", "version": 2}])
    world.load()
    assert world.server()["replicas"]["0"]["orphans"] == [{"model": "iris", "version": 2}]
    assert world.states() == {"0": "LoadRequested"}


def test_scaling_to_none_lets_draining_replicas_leave_too() -> None:
    world = World()
    world.connect(replica=0)
    world.connect(replica=1)
    world.serve()
    world.drain()
    assert world.states() == {"0": "Draining", "1": "LoadRequested"}
    world.load(replicas=0)
    assert world.states() == {"0": "UnrouteRequested", "1": "UnloadRequested"}
    assert world.latest()["placement_failure"] is None


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
