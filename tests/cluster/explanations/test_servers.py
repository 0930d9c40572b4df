from tests.cluster.world import World


def test_a_server_says_why_it_is_there() -> None:
    world = World()
    world.connect()
    assert world.explained("server", "s1")["rule"] == (
        "no operator described it: it is there as long as one of its 1 replicas is connected"
    )
    world.declare(expected_replicas=2)
    told = world.explained("server", "s1")
    assert (told["status"], told["rule"]) == (
        "declared",
        "an operator described it; 1 of 2 replicas connected",
    )


def test_a_server_says_what_it_takes() -> None:
    world = World()
    world.declare()
    assert world.explained("server", "s1")["facts"]["takes_models"] == "none: no replica is connected"
    world.connect()
    assert world.explained("server", "s1")["facts"]["takes_models"] == "all that fit"
    world.declare(shared=False)
    assert world.explained("server", "s1")["facts"]["takes_models"] == "only those that are pinned to it"
    world.declare(expected_replicas=0)
    assert world.explained("server", "s1")["facts"]["takes_models"] == "none: it is declared to have no replicas"


def test_a_replica_that_is_not_drained_names_the_models_that_keep_it() -> None:
    world = World()
    world.connect()
    world.connect(replica=1)
    world.serve()
    world.drain(replica=1)
    (_, row) = world.explained("server", "s1")["sections"]["replicas"]
    assert (row["drained"], row["because"].startswith("every model")) == (True, True)
    world.drain(replica=0)
    assert world.explained("server", "s1")["sections"]["replicas"][0]["drained"]
    world.connect("s2")
    told = world.explained("server", "s1")
    assert told["sections"]["replicas"][0]["because"] == "no replica elsewhere is available yet of iris"
    assert told["awaits"] == ["replica 0: no replica elsewhere is available yet of iris"]
    assert told["sections"]["models"] == [{"model": "iris", "version": 1, "replica": 0, "state": "Draining"}]


def test_a_replica_that_takes_models_is_told_as_that() -> None:
    world = World()
    world.connect()
    assert world.explained("server", "s1")["sections"]["replicas"][0]["because"] == "it takes models"


def test_a_scale_request_says_what_it_comes_from() -> None:
    world = World()
    world.connect()
    assert (
        world.explained("server", "s1")["facts"]["requested_because"]
        == "how many replicas it shall have is not declared"
    )
    world.declare(expected_replicas=1, max_replicas=2)
    assert world.explained("server", "s1")["facts"]["requested_because"].startswith("no model on it lacks room")
    world.load(replicas=3, min_replicas=1)
    told = world.explained("server", "s1")
    assert (told["facts"]["requested_replicas"], told["facts"]["most_replicas_wanted_by_a_model"]) == (2, 3)
    assert told["facts"]["requested_because"] == (
        "a model found too little room: 2 would do, 1 are declared, 2 the most"
    )
    assert told["awaits"] == ["an operator, to declare it with 2 replicas"]
    world.declare(expected_replicas=2, max_replicas=2)
    assert world.explained("server", "s1")["facts"]["requested_because"] == (
        "it is declared with 2 replicas and may not have more than 2"
    )
    world.policy(server_autoscaling=False)
    assert world.explained("server", "s1")["facts"]["requested_because"] == "the policy turns server autoscaling off"


def test_a_request_for_fewer_is_told_as_that() -> None:
    world = World()
    world.declare(expected_replicas=2)
    world.connect()
    world.connect(replica=1)
    world.serve()
    world.unload()
    world.routed()
    world.unloaded()
    told = world.explained("server", "s1")
    assert told["facts"]["requested_replicas"] == 1
    assert (
        told["facts"]["requested_because"] == "something left it: 1 replicas are enough for what stays, 2 are declared"
    )
    assert told["facts"]["empty"] == 2


def test_an_orphan_is_to_be_unloaded() -> None:
    world = World()
    world.connect(loaded_models=[{"model": "old", "version": 3}])
    told = world.explained("server", "s1")
    assert told["sections"]["replicas"][0]["orphans"] == ["old:3"]
    assert told["awaits"] == ["replica 0, to unload model old version 3, which nothing wants there"]
