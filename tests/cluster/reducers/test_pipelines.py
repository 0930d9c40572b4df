from tests.cluster.world import World


def up() -> World:
    world = World()
    world.responders()
    world.flow()
    world.ready()
    return world


def test_the_same_contents_are_only_another_generation() -> None:
    world = up()
    assert world.flow(generation=4) == "applied"
    assert world.flow(generation=4, batch_size=8) == "unchanged"
    assert world.flow(generation=3, batch_size=8) == "stale_generation"
    assert len(world.document["pipelines"]["flow"]["versions"]) == 1


def test_objections_come_before_the_generation() -> None:
    world = up()
    world.flow(generation=4)
    assert world.tell("PipelineLoadRequested", pipeline="flow", generation=3, steps=[]) == "no_steps"


def test_an_older_version_ends_only_when_a_newer_one_is_whole() -> None:
    world = up()
    world.flow(batch_size=2)
    world.answer("dataflow_engine")
    assert (world.pipeline(0)["engine"]["state"], world.pipeline(0)["status"]) == ("Ready", "ModelsUnavailable")
    world.flow(batch_size=3)
    assert [version["version"] for version in world.document["pipelines"]["flow"]["versions"]] == [1, 2, 3]
    world.answer("pipeline_gateway", version=2)
    assert world.pipeline(0)["status"] == "Terminating"
    assert (world.pipeline(1)["status"], world.pipeline(2)["status"]) == ("ModelsUnavailable", "Creating")


def test_a_version_without_responders_ends_at_once_when_the_next_is_whole() -> None:
    world = World()
    world.flow()
    world.flow(batch_size=2)
    assert [version["version"] for version in world.document["pipelines"]["flow"]["versions"]] == [1, 2]
    world.responders()
    world.answer("dataflow_engine", version=2)
    world.answer("pipeline_gateway", version=2)
    assert [world.pipeline(place)["status"] for place in (0, 1)] == ["Terminating", "ModelsUnavailable"]
    world.tell("ResponderDisconnected", role="dataflow_engine", responder="e0")
    world.tell("ResponderDisconnected", role="pipeline_gateway", responder="g0")
    assert [version["version"] for version in world.document["pipelines"]["flow"]["versions"]] == [2]


def test_a_pipeline_that_was_unloaded_comes_back_as_a_new_version() -> None:
    world = up()
    assert world.tell("PipelineUnloadRequested", pipeline="maze") == "unknown_target"
    world.tell("PipelineUnloadRequested", pipeline="flow")
    assert world.tell("PipelineUnloadRequested", pipeline="flow") == "unchanged"
    world.flow()
    versions = world.document["pipelines"]["flow"]["versions"]
    assert [(version["version"], version["status"]) for version in versions] == [(1, "Terminating"), (2, "Creating")]
    assert world.document["pipelines"]["flow"]["deleted_ms"] is None


def test_the_same_answer_again_is_nothing_to_do_and_another_one_is_refused() -> None:
    world = World()
    world.responders()
    world.flow()
    assert world.answer("dataflow_engine", success=False, reason="a") == "applied"
    assert world.answer("dataflow_engine", success=False, reason="a") == "unchanged"
    assert world.answer("dataflow_engine", success=False, reason="b") == "unexpected_report"
    assert world.answer("dataflow_engine", number=7) == "unexpected_report"


def test_a_pipeline_is_ready_while_all_its_models_serve() -> None:
    world = up()
    world.connect()
    world.serve("ant")
    assert world.pipeline()["status"] == "Ready"
    world.unload("ant")
    assert (world.pipeline()["status"], world.pipeline()["models_ready"]) == ("ModelsUnavailable", False)


def test_a_request_starts_a_failure_anew() -> None:
    world = World()
    world.responders()
    world.flow()
    world.answer("pipeline_gateway", success=False, reason="no topic")
    failure = world.failure("pipeline/flow")
    assert failure is not None
    assert (failure["code"], failure["message"]) == ("gateway_failed", "no topic")
    world.flow()
    again = world.failure("pipeline/flow")
    assert again is not None
    assert again["since_ms"] == world.at_ms
    world.flow(batch_size=2)
    assert world.failure("pipeline/flow") is None
