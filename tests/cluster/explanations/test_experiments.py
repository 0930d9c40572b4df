from tests.cluster.world import World


def test_an_experiment_names_what_does_not_serve_yet() -> None:
    world = World()
    world.connect(memory=1_000)
    world.serve("ant")
    world.load("bee")
    candidates = [{"name": "ant", "weight": 1}, {"name": "bee", "weight": 3}]
    world.start(candidates=candidates, mirror={"name": "cow", "percent": 10})
    told = world.explained("experiment", "duel")
    assert told["rule"] == "its routes are not wanted yet: not everything that it splits over serves"
    assert told["awaits"] == [
        "model bee to serve: no replica takes traffic",
        "model cow to serve: there is no such model",
    ]
    assert [(row["candidate"], row["share"], row["serving"]) for row in told["sections"]["candidates"]] == [
        ("ant", "weight 1", True),
        ("bee", "weight 3", False),
        ("cow", "mirror, 10 %", False),
    ]


def test_an_experiment_waits_for_the_router_in_both_directions() -> None:
    world = World()
    world.connect()
    world.serve("ant")
    world.start()
    told = world.explained("experiment", "duel")
    assert (told["status"], told["rule"]) == ("Pending", "its routes are not applied yet")
    assert told["awaits"] == ["the router, to apply the routes (revision 1); the last that it applied is 0"]
    world.tell("ExperimentRouteApplied", experiment="duel", route_revision=1)
    told = world.explained("experiment", "duel")
    assert (told["rule"], told["awaits"]) == ("its routes of revision 1 are wanted and applied", [])
    world.tell("ExperimentStopRequested", experiment="duel")
    told = world.explained("experiment", "duel")
    assert told["rule"] == "it was stopped"
    assert told["awaits"] == [
        "the router, to take away the routes (revision 2); the last that it applied is 1",
        "the clock, to forget it",
    ]


def test_routes_that_could_not_be_applied_wait_for_their_retry() -> None:
    world = World()
    world.connect()
    world.serve("ant")
    world.start()
    world.tell("ExperimentRouteFailed", experiment="duel", route_revision=1, reason="no upstream")
    told = world.explained("experiment", "duel")
    assert told["rule"] == "the router could not apply its routes of revision 1"
    assert told["facts"]["reason"] == "no upstream"
    assert told["awaits"] == ["the clock, for retry 1 of 10: the routes are announced again under a new revision"]


def test_candidates_may_be_pipelines() -> None:
    world = World()
    world.responders()
    world.flow("ant")
    world.start(kind="pipeline", candidates=[{"name": "flow", "weight": 1}])
    assert world.explained("experiment", "duel")["awaits"] == ["pipeline flow to serve: no version is ready"]
    world.connect()
    world.serve("ant")
    world.ready()
    assert world.explained("experiment", "duel")["sections"]["candidates"][0]["because"] == "some version is ready"
