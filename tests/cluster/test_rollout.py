from processor.cluster.entities import Deployment, Model, ModelSpec, Replica, Route, Version
from processor.cluster.rollout import fallback, held, newly_loaded, released, routed, routes

SPEC = ModelSpec("one", (), 0, 1, "", ())


def version(number: int, *states: str, replicas: int = 1, server: str = "s1") -> Version:
    entries = tuple(Replica(index, state, "", 0) for index, state in enumerate(states) if state)
    return Version(number, SPEC, Deployment(replicas, 0, 0), server, entries, None, "", "", 0, 0, 0, 0)


def model(*versions: Version, deleted: bool = False) -> Model:
    return Model(
        name="iris",
        generation=0,
        deleted=deleted,
        deleted_ms=None,
        route_revision=0,
        route_applied_revision=0,
        versions=versions,
    )


def fallback_number(*versions: Version, deleted: bool = False) -> int | None:
    second = fallback(model(*versions, deleted=deleted))
    return None if second is None else second.version


def test_the_newest_older_version_that_serves_is_the_fallback() -> None:
    old, newer, latest = version(1, "Available"), version(2, "Draining"), version(3, "Loading")
    assert fallback_number(old, newer, latest) == 2
    assert fallback_number(old, version(2, "Loaded"), latest) == 1
    assert fallback_number(version(1, "Loaded"), version(2, "LoadedUnavailable"), latest) == 2
    assert fallback_number(version(1, "Loading"), latest) is None
    assert fallback_number(latest) is None


def test_there_is_no_fallback_when_there_is_no_need() -> None:
    assert fallback_number(version(1, "Available"), version(2, "Available")) is None
    assert fallback_number(version(1, "Available"), version(2, replicas=0)) is None
    assert fallback_number(version(1, "Available"), version(2, "Loading"), deleted=True) is None


def test_traffic_is_split_by_replicas_and_rounded_down_for_the_old() -> None:
    old, latest = version(1, "Available", "Available", "Available"), version(2, "Loaded", replicas=3)
    assert routes(model(old, latest)) == (Route(2, "s1", (0,), 25), Route(1, "s1", (0, 1, 2), 75))
    latest = version(2, "Loaded", "Loaded", replicas=4)
    assert [route.weight for route in routes(model(version(1, "Available"), latest))] == [67, 33]


def test_one_version_with_an_assignment_takes_all() -> None:
    assert routes(model(version(1, "Available"), version(2, "Loading"))) == (Route(1, "s1", (0,), 100),)
    assert routes(model(version(1, "Loading"), version(2, "", "Loaded"))) == (Route(2, "s1", (1,), 100),)
    assert routes(model(version(1, "Loading"))) == ()
    assert routes(model(version(1, "Available"), deleted=True)) == ()


def test_an_entry_is_routed_only_at_the_server_of_its_version() -> None:
    announced = (Route(1, "s1", (0, 2), 100),)
    assert routed(announced, version(1)) == (0, 2)
    assert routed(announced, version(1, server="s2")) == ()
    assert routed(announced, version(2)) == ()


def test_traffic_stops_before_what_is_routed_is_unloaded() -> None:
    assert released(Replica(0, "Available", "x", 1), (0,), 9) == Replica(0, "UnrouteRequested", "", 9)
    assert released(Replica(1, "Available", "", 1), (0,), 9) == Replica(1, "UnloadRequested", "", 9)
    assert released(Replica(0, "LoadFailed", "x", 1), (0,), 9) == Replica(0, "Unloaded", "", 9)
    stuck = Replica(0, "UnloadFailed", "x", 1)
    assert released(stuck, (0,), 9) is stuck


def test_only_entries_that_are_where_they_should_be_are_held() -> None:
    assert held(version(1, "LoadRequested", "Loading", "Loaded", "Available", "LoadedUnavailable", "Draining")) == 5


def test_an_entry_is_newly_loaded_unless_it_was_so_since_the_same_time() -> None:
    before = version(1, "Loaded")
    again = version(1, "Loaded", "Loading")
    assert not newly_loaded(again, before)
    assert newly_loaded(version(1, "Loaded", "Loaded"), before)
    assert newly_loaded(before, None)
    assert newly_loaded(version(1, "Loaded"), version(1, "Loaded", server="s2"))
