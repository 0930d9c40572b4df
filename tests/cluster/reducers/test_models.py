import pytest

from tests.cluster.world import Json, World


@pytest.fixture
def world() -> World:
    world = World()
    world.connect()
    return world


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
