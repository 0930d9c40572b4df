import pytest

from tests.cluster.world import Json, World


@pytest.fixture
def world() -> World:
    world = World()
    world.connect(memory=1_000)
    world.serve("ant")
    return world


def applied(world: World) -> str:
    revision = world.experiment()["route_revision"]
    return world.tell("ExperimentRouteApplied", experiment="duel", route_revision=revision)


def failed(world: World, reason: str = "down") -> str:
    revision = world.experiment()["route_revision"]
    return world.tell("ExperimentRouteFailed", experiment="duel", route_revision=revision, reason=reason)


def test_another_definition_waits_for_its_own_routes(world: World) -> None:
    world.start()
    applied(world)
    assert world.start() == "unchanged"
    assert world.start(default="ant") == "applied"
    experiment = world.experiment()
    assert (experiment["status"], experiment["active"], experiment["route_revision"]) == ("Pending", False, 2)


def test_a_repeat_by_generation_is_unchanged_whatever_it_says(world: World) -> None:
    world.start(generation=2)
    assert world.start(generation=2, default="ant") == "unchanged"
    assert world.start(generation=1) == "stale_generation"
    assert world.start(generation=1, candidates=[]) == "no_candidates"


def test_a_mirror_alone_is_an_experiment(world: World) -> None:
    assert world.start(candidates=[], mirror={"name": "ant", "percent": 5}) == "applied"
    assert world.experiment()["routes_wanted"] is True
    assert world.start("trial", candidates=[], mirror={"name": "ant", "percent": 5}, default="ant") == (
        "default_not_candidate"
    )


def test_a_default_is_taken_only_among_running_experiments_of_the_kind(world: World) -> None:
    world.start(default="ant")
    assert world.start("trial", default="ant") == "baseline_taken"
    assert world.start("trial", default="ant", kind="pipeline") == "applied"
    world.start(default="")
    assert world.start("other", default="ant") == "applied"


def test_reports_about_other_revisions_are_refused(world: World) -> None:
    world.start()
    tell: Json = {"experiment": "duel", "route_revision": 0}
    assert world.tell("ExperimentRouteApplied", **tell) == "stale_report"
    assert world.tell("ExperimentRouteFailed", **{**tell, "route_revision": 2}) == "unexpected_report"
    assert world.tell("ExperimentRouteApplied", **{**tell, "experiment": "trial"}) == "unknown_target"
    assert applied(world) == "applied"
    assert applied(world) == "unchanged"
    assert failed(world) == "unchanged"


def test_a_failed_report_counts_until_the_routes_are_wanted_anew(world: World) -> None:
    world.start()
    assert failed(world) == "applied"
    assert failed(world) == "unchanged"
    assert (world.experiment()["status"], world.experiment()["reason"]) == ("Failed", "down")
    world.start(generation=7)
    assert world.experiment()["status"] == "Failed"
    world.unload("ant")
    experiment = world.experiment()
    assert (experiment["status"], experiment["reason"], experiment["route_revision"]) == ("Pending", "", 2)


def test_a_stopped_experiment_says_so_until_it_is_started_again(world: World) -> None:
    assert world.tell("ExperimentStopRequested", experiment="duel") == "unknown_target"
    world.start()
    applied(world)
    world.tell("ExperimentStopRequested", experiment="duel")
    assert world.tell("ExperimentStopRequested", experiment="duel") == "unchanged"
    assert (world.experiment()["status"], world.experiment()["route_revision"]) == ("Stopped", 2)
    failed(world)
    assert world.experiment()["status"] == "Stopped"
    world.start()
    assert (world.experiment()["status"], world.experiment()["route_revision"]) == ("Pending", 3)


def test_a_pipeline_that_is_ready_makes_its_experiment_ready(world: World) -> None:
    world.start(kind="pipeline", candidates=[{"name": "flow", "weight": 1}])
    world.responders()
    world.flow()
    assert world.experiment()["candidates_ready"] is False
    world.ready()
    assert world.experiment()["candidates_ready"] is True
    world.unload("ant")
    assert world.experiment()["candidates_ready"] is False
