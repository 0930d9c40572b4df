from tests.cluster.world import World


def connect(world: World, name: str, role: str = "dataflow_engine") -> str:
    return world.tell("ResponderConnected", role=role, responder=name)


def disconnect(world: World, name: str, role: str = "dataflow_engine") -> str:
    return world.tell("ResponderDisconnected", role=role, responder=name)


def test_a_responder_that_is_known_changes_nothing() -> None:
    world = World()
    assert connect(world, "e0") == "applied"
    assert connect(world, "e0") == "unchanged"
    assert world.document["responders"] == {
        "dataflow_engine/e0": {"role": "dataflow_engine", "responder": "e0", "connected_ms": 1_000}
    }
    assert disconnect(world, "e1") == "unchanged"
    assert disconnect(world, "e0", role="pipeline_gateway") == "unchanged"
    assert disconnect(world, "e0") == "applied"
    assert world.document["responders"] == {}


def test_one_more_responder_has_all_asked_again_for_what_the_pipeline_is_at() -> None:
    world = World()
    world.responders()
    world.flow()
    connect(world, "e1")
    assert (world.pipeline()["engine"]["state"], world.pipeline()["engine"]["sequence"]) == ("Creating", 2)
    assert world.pipeline()["engine"]["answers"].keys() == {"e0", "e1"}
    assert world.pipeline()["gateway"]["sequence"] == 1
    world.tell("PipelineUnloadRequested", pipeline="flow")
    connect(world, "e2")
    assert (world.pipeline()["engine"]["state"], world.pipeline()["engine"]["sequence"]) == ("Terminating", 4)


def test_a_terminated_pipeline_is_left_alone() -> None:
    world = World()
    world.flow()
    world.tell("PipelineUnloadRequested", pipeline="flow")
    connect(world, "e0")
    assert (world.pipeline()["engine"]["state"], world.pipeline()["engine"]["sequence"]) == ("Terminated", 0)


def test_a_pipeline_whose_last_responder_leaves_waits_for_one() -> None:
    world = World()
    world.responders()
    world.flow()
    world.ready()
    disconnect(world, "e0")
    engine = world.pipeline()["engine"]
    assert engine == {"state": "Create", "sequence": 1, "answers": {}, "reason": "no_responders"}
    assert (world.pipeline()["status"], world.pipeline()["reason"]) == ("Creating", "no_responders")
    connect(world, "e0")
    assert world.pipeline()["engine"]["sequence"] == 2
