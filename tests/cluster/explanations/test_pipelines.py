from tests.cluster.world import World


def test_a_pipeline_names_the_responders_and_models_that_it_waits_for() -> None:
    world = World()
    world.flow("ant")
    told = world.explained("pipeline", "flow")
    assert (told["status"], told["rule"]) == ("Creating", "engines or gateways do not have it yet")
    assert told["awaits"] == [
        "a first engine to connect, to create version 1",
        "a first gateway to connect, to create version 1",
        "model ant to serve: there is no such model",
    ]
    world.responders()
    world.connect()
    world.load("ant")
    told = world.explained("pipeline", "flow")
    assert told["awaits"] == [
        "engine e0, asked to create it: version 1",
        "gateway g0, asked to create it: version 1",
        "model ant to serve: no replica takes traffic",
    ]
    assert [row["answer"] for row in told["sections"]["answers"]] == ["pending", "pending"]
    world.ready()
    assert world.explained("pipeline", "flow")["rule"] == "engines and gateways have it, but not all its models serve"
    world.loaded("ant")
    world.routed("ant")
    told = world.explained("pipeline", "flow")
    assert (told["status"], told["awaits"]) == ("Ready", [])
    assert told["sections"]["models"] == [
        {"model": "ant", "serving": True, "status": "Available", "because": "some replica takes traffic"}
    ]


def test_a_failed_axis_is_named_with_its_reason_and_its_retry() -> None:
    world = World()
    world.responders()
    world.flow("ant")
    world.answer("dataflow_engine", success=False, reason="no memory")
    told = world.explained("pipeline", "flow")
    assert told["rule"] == "no engine could create it"
    assert (told["facts"]["reason"], told["facts"]["failure"]) == ("no memory", "engine_failed")
    assert (
        told["awaits"][-1] == "the clock, for retry 1 of 10: the engines are asked again to create the latest version"
    )
    world.answer("pipeline_gateway", success=False)
    assert world.explained("pipeline", "flow")["rule"] == "no engine and no gateway could create it"


def test_a_model_that_is_deleted_is_told_as_that() -> None:
    world = World()
    world.connect()
    world.serve("ant")
    world.flow("ant")
    world.unload("ant")
    assert world.explained("pipeline", "flow")["sections"]["models"][0]["because"] == "it is deleted"


def test_a_pipeline_that_was_unloaded_is_followed_to_its_end() -> None:
    world = World()
    world.responders()
    world.flow("ant")
    world.tell("PipelineUnloadRequested", pipeline="flow")
    told = world.explained("pipeline", "flow")
    assert told["rule"] == "it is not wanted any more, and some responder still has it"
    assert told["awaits"][0] == "engine e0, asked to delete it: version 1"
    world.answer("dataflow_engine", success=False, reason="busy")
    world.answer("pipeline_gateway")
    assert (
        world.explained("pipeline", "flow")["rule"]
        == "it is not wanted any more, and some responder could not delete it"
    )
    world.tell("ResponderDisconnected", role="dataflow_engine", responder="e0")
    told = world.explained("pipeline", "flow")
    assert (told["rule"], told["awaits"]) == (
        "it is not wanted any more, and no responder has it",
        ["the clock, to forget it"],
    )


def test_a_responder_names_the_pipelines_that_wait_for_it() -> None:
    world = World()
    world.responders()
    assert world.explained("responder", "dataflow_engine/e0")["awaits"] == []
    world.flow("ant")
    told = world.explained("responder", "dataflow_engine/e0")
    assert told["awaits"] == ["its answer about pipeline flow version 1: asked to create it"]
