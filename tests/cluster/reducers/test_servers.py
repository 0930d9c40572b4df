import pytest

from tests.cluster.world import World


def test_a_repeat_by_generation_is_unchanged_whatever_it_says() -> None:
    world = World()
    world.declare(generation=3, expected_replicas=2)
    assert world.declare(generation=3, expected_replicas=5) == "unchanged"
    assert world.declare(generation=2, expected_replicas=5) == "stale_generation"
    assert world.declare(generation=0, expected_replicas=2) == "applied"
    assert world.server()["generation"] == 0


def test_a_server_that_is_not_declared_has_no_generation() -> None:
    world = World()
    world.declare(generation=9)
    world.connect()
    world.tell("ServerRemoved", server="s1", generation=9)
    assert world.tell("ServerRemoved", server="s1", generation=1) == "unchanged"
    assert world.declare(generation=1) == "applied"
    assert world.server()["generation"] == 1


def test_removing_an_older_generation_is_refused_and_any_other_is_taken_over() -> None:
    world = World()
    world.declare(generation=3, expected_replicas=2, min_replicas=1, max_replicas=4)
    world.connect()
    assert world.tell("ServerRemoved", server="s1", generation=2) == "stale_generation"
    assert world.tell("ServerRemoved", server="s1", generation=3) == "applied"
    server = world.server()
    assert (server["declared"], server["generation"], server["expected_replicas"]) == (False, 3, 0)
    assert (server["min_replicas"], server["max_replicas"]) == (0, 0)


def test_removing_what_is_not_there_is_nothing_to_do() -> None:
    world = World()
    assert world.tell("ServerRemoved", server="s1") == "unchanged"
    world.connect()
    assert world.tell("ServerRemoved", server="s1") == "unchanged"


def test_a_declared_server_without_replicas_goes_when_it_is_removed() -> None:
    world = World()
    world.declare()
    world.tell("ServerRemoved", server="s1")
    assert world.document["servers"] == {}


def test_other_contents_end_a_scale_request_and_equal_ones_do_not() -> None:
    world = World()
    world.declare(expected_replicas=1, max_replicas=3)
    world.connect()
    world.load(replicas=2)
    assert world.server()["requested_replicas"] == 2
    world.declare(generation=1, expected_replicas=1, max_replicas=3)
    assert world.server()["requested_replicas"] == 2
    world.declare(expected_replicas=1, max_replicas=4)
    assert world.server()["requested_replicas"] is None


def test_a_server_that_expects_replicas_again_takes_what_waits() -> None:
    world = World()
    world.declare(expected_replicas=0)
    world.connect()
    world.load()
    assert world.latest()["status"] == "ScheduleFailed"
    world.declare(expected_replicas=1)
    assert world.states() == {"0": "LoadRequested"}


def test_an_undeclared_server_is_shared_as_its_last_replica_says() -> None:
    world = World()
    world.connect(shared=False)
    world.connect(replica=1, shared=True)
    assert world.server()["shared"] is True


@pytest.mark.parametrize("prepared", ["LoadRequested", "Loading", "Loaded", "Available", "Draining", "LoadFailed"])
def test_what_a_returning_replica_still_has_is_taken_back(prepared: str) -> None:
    world = World()
    world.connect()
    world.load()
    steps = {
        "Loading": lambda: world.report("Loading"),
        "Loaded": world.loaded,
        "Available": lambda: (world.loaded(), world.routed()),
        "Draining": lambda: (world.loaded(), world.drain()),
        "LoadFailed": lambda: world.report("LoadFailed"),
    }
    steps.get(prepared, lambda: None)()
    assert world.states() == {"0": prepared}
    world.connect(loaded_models=[{"model": "iris", "version": 1}])
    assert world.states() == {"0": "Loaded"}
    assert world.latest()["replicas"]["0"]["since_ms"] == world.at_ms
    assert world.server()["replicas"]["0"]["draining"] is False


def test_what_a_returning_replica_of_an_unloaded_model_has_is_told_to_unload_again() -> None:
    world = World()
    world.connect()
    world.load()
    world.unload()
    world.unloaded()
    assert world.states() == {"0": "Unloaded"}
    world.connect(loaded_models=[{"model": "iris", "version": 1}])
    assert world.states() == {"0": "UnloadRequested"}
    assert world.server()["replicas"]["0"]["orphans"] == []


def test_what_a_returning_replica_does_not_have_any_more_is_loaded_again() -> None:
    world = World()
    world.connect()
    world.serve()
    world.connect()
    assert world.states() == {"0": "LoadRequested"}
    assert world.model()["route_revision"] == 2


def test_orphans_are_each_told_once_sorted() -> None:
    world = World()
    pairs = [("bee", 2), ("bee", 1), ("ant", 7), ("bee", 2)]
    world.connect(loaded_models=[{"model": model, "version": version} for model, version in pairs])
    orphans = world.server()["replicas"]["0"]["orphans"]
    assert [(orphan["model"], orphan["version"]) for orphan in orphans] == [("ant", 7), ("bee", 1), ("bee", 2)]


def test_a_replica_that_returns_with_too_many_gives_one_back() -> None:
    world = World()
    for replica in range(2):
        world.connect(replica=replica, memory=100)
    world.load(replicas=2)
    world.loaded(replica=0)
    world.report("LoadFailed", replica=1)
    world.load(replicas=1)
    assert world.states() == {"0": "Loaded", "1": "Unloaded"}


def test_a_lost_replica_that_retires_is_unloaded_and_one_that_does_not_is_made_good() -> None:
    world = World()
    for replica in range(2):
        world.connect(replica=replica)
    world.load()
    world.unload()
    world.load("bee")
    where = next(iter(world.states("bee")))
    world.disconnect(replica=int(next(iter(world.states()))))
    assert set(world.states().values()) == {"Unloaded"}
    assert world.disconnect(replica=7) == "unchanged"
    assert world.disconnect(server="s9") == "unchanged"
    assert where in {"0", "1"}


def test_what_is_still_to_load_on_a_draining_replica_is_not_loaded() -> None:
    world = World()
    for replica in range(2):
        world.connect(replica=replica)
    world.load()
    world.drain(replica=0)
    assert world.states() == {"0": "UnloadRequested", "1": "LoadRequested"}
    assert world.server()["replicas"]["0"]["drained"] is True


def test_a_replica_is_not_drained_before_its_model_is_available_elsewhere() -> None:
    world = World()
    for replica in range(2):
        world.connect(replica=replica)
    world.serve()
    world.drain(replica=0)
    assert world.server()["replicas"]["0"]["drained"] is False
    world.loaded(replica=1)
    assert world.server()["replicas"]["0"]["drained"] is False
    world.routed()
    assert world.server()["replicas"]["0"]["drained"] is True
