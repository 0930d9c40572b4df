from typing import Any

from processor.cluster.document import change_to_json
from processor.cluster.state import State
from tests.cluster.world import World


def told(world: World, before: State, key: str) -> list[dict[str, Any]]:
    changes = [change for change in world.machine.diff(before, world.state) if change.key == key]
    return [transition for change in changes for transition in change_to_json(change)["transitions"]]


def test_a_new_model_is_told_from_the_record_to_the_statuses() -> None:
    world = World()
    world.connect()
    before = world.state
    world.load()
    world.loaded()
    assert told(world, before, "model/iris") == [
        {"type": "ModelAdded"},
        {"type": "ModelVersionAdded", "version": 1},
        {
            "type": "ReplicaStateChanged",
            "version": 1,
            "server": "s1",
            "replica": 0,
            "from": "",
            "to": "Loaded",
            "reason": "",
        },
        {
            "type": "ModelRoutesChanged",
            "route_revision": 1,
            "routes": [{"version": 1, "server": "s1", "replicas": [0], "weight": 100}],
        },
        {"type": "ModelProgressing", "version": 1, "from": "", "reason": ""},
    ]


def test_a_removed_model_lists_what_it_had_but_no_status_and_no_routes() -> None:
    world = World()
    world.connect()
    world.load()
    world.unload()
    world.unloaded()
    before = world.state
    world.tick(10**9)
    transitions = told(world, before, "model/iris")
    assert [transition["type"] for transition in transitions] == [
        "ModelRemoved",
        "ModelVersionRemoved",
        "ReplicaStateChanged",
    ]
    assert (transitions[2]["from"], transitions[2]["to"], transitions[2]["reason"]) == ("Unloaded", "", "")


def test_a_replica_that_is_asked_again_is_told_again() -> None:
    world = World()
    world.connect()
    world.load()
    before = world.state
    world.connect()
    assert [transition["type"] for transition in told(world, before, "model/iris")] == ["ReplicaLoadRequested"]


def test_entries_at_another_server_vanish_and_come() -> None:
    world = World()
    world.connect("s1")
    world.load()
    before = world.state
    world.connect("s2")
    world.disconnect("s1")
    moves = [
        (transition["type"], transition["server"], transition["from"], transition["to"])
        for transition in told(world, before, "model/iris")
    ]
    assert moves == [
        ("ReplicaStateChanged", "s1", "LoadRequested", ""),
        ("ReplicaLoadRequested", "s2", "", "LoadRequested"),
    ]


def test_a_server_tells_its_record_then_its_replicas_by_index() -> None:
    world = World()
    world.declare(expected_replicas=1, max_replicas=3)
    world.connect(replica=1)
    before = world.state
    world.load(replicas=2)
    world.connect(replica=0, loaded_models=[{"model": "ghost", "version": 2}])
    world.drain(replica=0)
    assert told(world, before, "server/s1") == [
        {"type": "ServerScaleRequested", "to": 2},
        {"type": "ServerReplicaAdded", "replica": 0},
        {"type": "ServerReplicaDraining", "replica": 0},
        {"type": "ServerReplicaDrained", "replica": 0},
        {"type": "OrphanUnloadRequested", "replica": 0, "model": "ghost", "version": 2},
    ]


def test_an_orphan_is_told_again_when_its_replica_comes_back() -> None:
    world = World()
    ghost = [{"model": "ghost", "version": 2}]
    world.connect(loaded_models=ghost)
    before = world.state
    world.drain()
    assert [transition["type"] for transition in told(world, before, "server/s1")] == [
        "ServerReplicaDraining",
        "ServerReplicaDrained",
    ]
    world.connect(loaded_models=ghost)
    assert told(world, before, "server/s1")[-1]["type"] == "OrphanUnloadRequested"


def test_an_orphan_that_was_told_is_not_told_again_when_others_come_or_go() -> None:
    world = World()
    ants, bees, cats = ([{"model": name, "version": 1}] for name in ("ant", "bee", "cat"))
    world.connect(at_ms=5, loaded_models=[*ants, *bees])
    before = world.state
    world.connect(at_ms=5, loaded_models=[*bees, *cats])
    assert told(world, before, "server/s1") == [
        {"type": "OrphanUnloadRequested", "replica": 0, "model": "cat", "version": 1}
    ]
    before = world.state
    world.tell("ModelReplicaUnloaded", model="cat", version=1, server="s1", replica=0, available_memory=9)
    assert told(world, before, "server/s1") == []
    assert world.server()["replicas"]["0"]["orphans"] == bees


def test_a_removed_server_lists_its_replicas() -> None:
    world = World()
    world.connect()
    before = world.state
    world.disconnect()
    assert told(world, before, "server/s1") == [
        {"type": "ServerRemoved"},
        {"type": "ServerReplicaRemoved", "replica": 0},
    ]


def test_a_pipeline_tells_its_axes_its_flag_and_its_status() -> None:
    world = World()
    world.connect()
    world.serve("ant")
    world.responders()
    before = world.state
    world.flow()
    assert told(world, before, "pipeline/flow") == [
        {"type": "PipelineAdded"},
        {"type": "PipelineVersionAdded", "version": 1},
        {"type": "PipelineCreateRequested", "version": 1, "role": "dataflow_engine", "sequence": 1},
        {"type": "PipelineCreateRequested", "version": 1, "role": "pipeline_gateway", "sequence": 1},
        {"type": "PipelineModelsReady", "version": 1},
        {"type": "PipelineCreating", "version": 1, "from": "", "reason": ""},
    ]


def test_an_experiment_tells_its_routes_and_its_status() -> None:
    world = World()
    world.connect()
    world.serve("ant")
    before = world.state
    world.start()
    world.tell("ExperimentRouteApplied", experiment="duel", route_revision=1)
    assert told(world, before, "experiment/duel") == [
        {"type": "ExperimentAdded"},
        {"type": "ExperimentRoutesChanged", "route_revision": 1, "wanted": True},
        {"type": "ExperimentActive", "from": "", "reason": ""},
    ]


def test_plain_things_come_change_and_go() -> None:
    world = World()
    before = world.state
    world.policy(retry_limit=3)
    world.responders(gateways=0)
    world.load()
    middle = world.state
    assert [told(world, before, key) for key in ("policy/cluster", "responder/dataflow_engine/e0")] == [
        [{"type": "PolicyChanged"}],
        [{"type": "ResponderAdded"}],
    ]
    world.tick(10**6)
    assert told(world, middle, "failure/model/iris") == [{"type": "FailureChanged"}]
    world.unload()
    assert told(world, middle, "failure/model/iris") == [{"type": "FailureRemoved"}]
