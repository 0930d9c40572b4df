import pytest

from tests.cluster.world import World

INTERVAL_MS = 60_000
TTL_MS = 86_400_000


def attempts(world: World, key: str = "model/iris") -> int:
    failure = world.failure(key)
    assert failure is not None
    tried: int = failure["attempts"]
    return tried


def test_a_tick_with_nothing_due_is_nothing_to_do() -> None:
    world = World()
    assert world.machine.due_ms(world.state) is None
    assert world.tick(10**12) == "unchanged"


def test_a_failure_is_tried_again_as_often_as_the_policy_says() -> None:
    world = World()
    world.policy(retry_limit=2)
    world.load()
    due = world.machine.due_ms(world.state)
    assert due == world.at_ms + INTERVAL_MS
    assert world.tick(due - 1) == "unchanged"
    assert world.tick(due) == "applied"
    assert world.tick(due + INTERVAL_MS) == "applied"
    assert attempts(world) == 2
    assert world.machine.due_ms(world.state) is None
    assert world.tick(due + 9 * INTERVAL_MS) == "unchanged"
    world.policy(retry_limit=3)
    assert world.machine.due_ms(world.state) == due + 2 * INTERVAL_MS
    world.policy(retry_limit=1)
    assert world.machine.due_ms(world.state) is None


def test_what_is_on_its_way_again_is_not_tried_meanwhile() -> None:
    world = World()
    world.connect()
    world.load()
    world.report("LoadFailed")
    world.tick(world.at_ms + INTERVAL_MS)
    assert world.states() == {"0": "LoadRequested"}
    assert attempts(world) == 1
    assert world.machine.due_ms(world.state) is None


def test_a_route_that_failed_is_announced_again() -> None:
    world = World()
    world.connect()
    world.load()
    world.loaded()
    world.unroutable()
    world.tick(world.at_ms + INTERVAL_MS)
    assert world.model()["route_revision"] == 2
    assert world.states() == {"0": "LoadedUnavailable"}
    world.routed()
    assert world.latest()["status"] == "Available"
    assert world.failure() is None


def test_an_unload_that_failed_is_asked_for_again() -> None:
    world = World()
    world.connect()
    world.load()
    world.unload()
    world.report("UnloadFailed", reason="busy")
    world.tick(world.at_ms + INTERVAL_MS)
    assert world.states() == {"0": "UnloadRequested"}
    assert attempts(world) == 1


def test_the_oldest_failure_gets_the_room_there_is() -> None:
    world = World()
    world.policy(server_autoscaling=False)
    world.connect(memory=150)
    world.load("zoe")
    world.report("LoadFailed", "zoe")
    world.load("ant")
    world.report("LoadFailed", "ant")
    world.tick(world.at_ms + INTERVAL_MS)
    assert world.latest("zoe")["status"] == "Progressing"
    assert world.latest("ant")["status"] == "ScheduleFailed"


@pytest.mark.parametrize("role", ["dataflow_engine", "pipeline_gateway"])
def test_an_axis_that_failed_is_asked_again(role: str) -> None:
    world = World()
    world.responders()
    world.flow()
    world.answer(role, success=False, reason="why")
    world.tick(world.at_ms + INTERVAL_MS)
    axis = "engine" if role == "dataflow_engine" else "gateway"
    assert (world.pipeline()[axis]["state"], world.pipeline()[axis]["sequence"]) == ("Creating", 2)
    assert world.machine.due_ms(world.state) is None


def test_only_the_axes_whose_deletion_failed_are_asked_again() -> None:
    world = World()
    world.responders()
    world.flow()
    world.tell("PipelineUnloadRequested", pipeline="flow")
    world.answer("dataflow_engine", success=False, reason="busy")
    world.answer("pipeline_gateway")
    failure = world.failure("pipeline/flow")
    assert failure is not None
    assert (failure["code"], failure["message"]) == ("terminate_failed", "busy")
    world.tick(world.at_ms + INTERVAL_MS)
    assert (world.pipeline()["engine"]["state"], world.pipeline()["gateway"]["state"]) == ("Terminating", "Terminated")


def test_an_experiment_whose_routes_are_not_applied_after_a_retry_is_tried_again() -> None:
    world = World()
    world.connect()
    world.serve("ant")
    world.start()
    world.tell("ExperimentRouteFailed", experiment="duel", route_revision=1, reason="down")
    for tried in (1, 2):
        world.tick(world.at_ms + INTERVAL_MS)
        assert (world.experiment()["status"], world.experiment()["route_revision"]) == ("Pending", tried + 1)
        assert attempts(world, "experiment/duel") == tried


def test_what_is_deleted_and_finished_is_forgotten_after_its_time() -> None:
    world = World()
    world.load()
    world.unload()
    world.flow("iris")
    world.tell("PipelineUnloadRequested", pipeline="flow")
    world.start()
    world.tell("ExperimentStopRequested", experiment="duel")
    assert world.machine.due_ms(world.state) == 2_000 + TTL_MS
    world.tick(2_000 + TTL_MS)
    assert world.document["models"] == {}
    assert world.document["pipelines"].keys() == {"flow"}
    world.tick(world.at_ms + INTERVAL_MS)
    assert world.document["pipelines"] == {}
    assert world.document["experiments"] == {}
    assert world.machine.due_ms(world.state) is None


def test_what_is_deleted_but_not_finished_stays() -> None:
    world = World()
    world.connect()
    world.load()
    world.unload()
    assert world.tick(world.at_ms + 2 * TTL_MS) == "unchanged"
    world.unloaded()
    assert world.tick(world.at_ms + 2 * TTL_MS) == "applied"
    assert world.document["models"] == {}
