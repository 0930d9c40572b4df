from tests.cluster.world import World


def scaled(expected: int, least: int = 0, most: int = 9, connected: int = 1) -> World:
    world = World()
    world.declare(expected_replicas=expected, min_replicas=least, max_replicas=most)
    for replica in range(connected):
        world.connect(replica=replica)
    return world


def asked(world: World) -> int | None:
    requested: int | None = world.server()["requested_replicas"]
    return requested


def test_nothing_is_asked_of_a_server_without_a_cap_or_an_expectation_or_if_the_policy_forbids() -> None:
    for expected, most in ((1, 0), (-1, 3), (3, 3)):
        world = scaled(expected, most=most)
        world.load(replicas=3)
        assert asked(world) is None
    world = scaled(1)
    world.policy(server_autoscaling=False)
    world.load(replicas=3)
    assert asked(world) is None


def test_a_request_that_asks_for_more_already_stands() -> None:
    world = scaled(1)
    world.load("ant", replicas=4)
    assert asked(world) == 4
    world.load("bee", replicas=2)
    assert asked(world) == 4
    world.load("cat", replicas=6)
    assert asked(world) == 6


def test_the_most_that_a_model_bound_to_the_server_wants_is_asked_for() -> None:
    world = scaled(1)
    world.load("ant", replicas=5, min_replicas=1, memory=10)
    world.declare(expected_replicas=1, max_replicas=8)
    assert asked(world) is None
    world.load("bee", replicas=2, memory=10)
    assert asked(world) == 5


def test_a_pinned_model_asks_its_server_and_a_free_one_the_first_that_could_take_it() -> None:
    world = scaled(1)
    world.declare("s0", expected_replicas=1, max_replicas=5)
    world.connect("s0")
    world.load(replicas=2, server="s1")
    assert (asked(world), world.server("s0")["requested_replicas"]) == (2, None)
    world.load("bee", replicas=3)
    assert (asked(world), world.server("s0")["requested_replicas"]) == (2, 3)


def test_a_retry_that_fails_asks_for_nothing() -> None:
    world = scaled(1)
    world.load(replicas=3, memory=500)
    world.declare(expected_replicas=1, max_replicas=7)
    assert asked(world) is None
    world.connect(replica=1)
    assert asked(world) is None


def test_empty_replicas_are_given_back_but_not_below_the_minimum() -> None:
    world = scaled(4, least=2, connected=4)
    world.serve()
    world.unload()
    world.routed()
    world.unloaded(replica=int(next(iter(world.states()))))
    assert asked(world) == 2


def test_nothing_is_given_back_while_more_is_asked_for() -> None:
    world = scaled(2, connected=2)
    world.load("ant")
    world.load("bee", replicas=4)
    assert asked(world) == 4
    world.report("LoadFailed", "ant", replica=int(next(iter(world.states("ant")))))
    assert asked(world) == 4


def test_packing_gives_back_what_no_model_needs() -> None:
    world = scaled(3, connected=3)
    world.policy(pack_servers=True)
    for name in ("ant", "bee", "cat", "dog"):
        world.load(name, memory=150)
    places = {int(next(iter(world.states(name)))) for name in ("ant", "bee", "cat")}
    assert places == {0, 1, 2}
    world.serve("eel", memory=10)
    world.unload("eel")
    world.routed("eel")
    world.unloaded("eel", replica=int(next(iter(world.states("eel")))))
    assert asked(world) == 1


def test_without_packing_occupied_replicas_stay() -> None:
    world = scaled(3, connected=3)
    for name in ("ant", "bee", "cat"):
        world.load(name, memory=150)
    world.serve("eel", memory=10)
    world.unload("eel")
    world.routed("eel")
    world.unloaded("eel", replica=int(next(iter(world.states("eel")))))
    assert asked(world) is None


def test_the_last_entry_of_a_version_that_is_dropped_counts_too() -> None:
    world = scaled(2, connected=2)
    world.serve(memory=10)
    world.load(uri="two", memory=10)
    where = int(next(iter(world.states())))
    world.loaded(replica=where)
    world.routed()
    world.routed()
    world.unloaded(version=1, replica=int(next(iter(world.states(place=0)))))
    assert len(world.model()["versions"]) == 1
    assert asked(world) == 1
