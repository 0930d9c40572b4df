import pytest

from tests.cluster.world import Json, World


@pytest.fixture
def world() -> World:
    world = World()
    world.connect()
    return world


def test_a_repeat_by_generation_is_unchanged_whatever_it_says(world: World) -> None:
    world.load(generation=2)
    assert world.load(generation=2, uri="two") == "unchanged"
    assert world.load(generation=1) == "stale_generation"
    assert world.load() == "applied"
    assert world.load() == "unchanged"


def test_a_repeat_tries_a_failed_model_again_and_starts_its_attempts_anew(world: World) -> None:
    world.load(generation=2)
    world.report("LoadFailed", reason="a")
    assert world.load(generation=2) == "applied"
    assert world.states() == {"0": "LoadRequested"}
    assert world.failure() is None


def test_a_repeat_that_finds_no_server_again_leaves_the_failure_as_it_is() -> None:
    world = World()
    world.load(generation=2)
    assert world.load(generation=2) == "unchanged"
    failure = world.failure()
    assert failure is not None
    assert failure["since_ms"] == 1_000


def test_a_request_that_is_no_repeat_makes_what_is_still_wrong_a_new_failure() -> None:
    world = World()
    world.load()
    assert world.load() == "applied"
    failure = world.failure()
    assert failure is not None
    assert failure["since_ms"] == 2_000


def test_another_specification_is_a_new_version_and_normalised_before_it_is_compared(world: World) -> None:
    world.load(requirements=[], parameters={"b": "1", "a": "2"})
    assert world.load(requirements=[], parameters={"a": "2", "b": "1"}) == "unchanged"
    world.load(uri="two")
    assert [version["version"] for version in world.model()["versions"]] == [1, 2]


def test_a_version_number_is_never_used_twice_while_the_record_exists(world: World) -> None:
    world.load()
    world.load(uri="two")
    world.unloaded(version=1)
    world.load(uri="one")
    assert world.latest()["version"] == 3


def test_unloading_twice_is_nothing_to_do_but_for_what_could_not_be_unloaded(world: World) -> None:
    world.load(generation=4)
    assert world.unload(generation=3) == "stale_generation"
    assert world.unload(generation=5) == "applied"
    assert world.unload(generation=1) == "unchanged"
    world.report("UnloadFailed", reason="busy")
    assert world.latest()["status"] == "TerminateFailed"
    assert world.unload() == "applied"
    assert world.states() == {"0": "UnloadRequested"}
    assert world.failure() is None
    assert world.model()["generation"] == 5


@pytest.mark.parametrize(
    ("wanted", "direction", "after_ms", "code"),
    [
        ({"replicas": 1, "min_replicas": 1}, "up", 0, "applied"),
        ({"replicas": 1, "max_replicas": 1}, "up", 0, "at_limit"),
        ({"replicas": 1, "max_replicas": 2}, "up", 0, "applied"),
        ({"replicas": 2**63 - 1, "min_replicas": 1}, "up", 0, "at_limit"),
        ({"replicas": 1, "max_replicas": 2}, "down", 99_000, "at_limit"),
        ({"replicas": 2, "min_replicas": 2}, "down", 99_000, "at_limit"),
        ({"replicas": 2, "max_replicas": 2}, "down", 59_999, "too_soon"),
        ({"replicas": 2, "max_replicas": 2}, "down", 60_000, "applied"),
        ({"replicas": 2}, "down", 99_000, "autoscaling_off"),
    ],
)
def test_an_autoscaler_keeps_to_the_limits(wanted: Json, direction: str, after_ms: int, code: str) -> None:
    world = World()
    for replica in range(3):
        world.connect(replica=replica)
    world.serve(**wanted)
    at_ms = world.at_ms + after_ms
    assert world.tell("ModelScaleRequested", at_ms=at_ms, model="iris", version=1, direction=direction) == code


def test_an_autoscaler_is_refused_in_the_order_of_the_rules(world: World) -> None:
    def scale(model: str = "iris", version: int = 1) -> str:
        return world.tell("ModelScaleRequested", model=model, version=version, direction="up")

    world.load(replicas=1, min_replicas=1)
    assert (scale("bee"), scale(version=2), scale()) == ("unknown_target", "stale_version", "not_available")
    world.unload()
    assert scale() == "unknown_target"
    world.policy(model_autoscaling=False)
    assert scale() == "autoscaling_off"


def test_a_failed_route_is_remembered_until_its_revision_is_applied(world: World) -> None:
    world.serve()
    world.load(replicas=0)
    assert world.unroutable() == "applied"
    assert world.unroutable() == "unchanged"
    failure = world.failure()
    assert failure is not None
    assert (failure["code"], failure["message"]) == ("route_failed", "no upstream")
    assert world.latest()["status"] == "ScaledDown"
    world.routed()
    assert world.failure() is None
    assert world.unroutable() == "unchanged"


def test_routes_about_an_unknown_model_have_no_target() -> None:
    world = World()
    for name in ("ModelRouteApplied", "ModelRouteFailed"):
        assert world.tell(name, model="iris", route_revision=0) == "unknown_target"


def test_an_unavailable_replica_is_available_once_its_route_is_applied(world: World) -> None:
    world.load()
    world.loaded()
    world.unroutable()
    assert world.states() == {"0": "LoadedUnavailable"}
    world.routed()
    assert world.states() == {"0": "Available"}
