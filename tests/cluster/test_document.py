import copy
from typing import Any

import pytest

from processor.cluster.document import InvalidState, from_document, to_document
from tests.cluster.world import World


def full() -> World:
    world = World()
    world.declare(expected_replicas=2, max_replicas=4)
    world.connect(replica=10, loaded_models=[{"model": "ghost", "version": 2}])
    world.connect(replica=9)
    world.serve("ant", replicas=2, parameters={"replicas": "x", "answers": "y"})
    world.load("bee", memory=10_000)
    world.responders(engines=2)
    world.flow("ant", tensor_map={"parameters": "z"})
    world.start(mirror={"name": "bee", "percent": 3})
    return world


def test_maps_are_objects_with_their_keys_as_text() -> None:
    document = full().document
    assert document["servers"]["s1"]["replicas"].keys() == {"9", "10"}
    assert document["models"]["ant"]["versions"][0]["spec"]["parameters"] == {"replicas": "x", "answers": "y"}
    assert document["models"]["ant"]["versions"][0]["replicas"]["10"]["state"] == "Available"
    assert document["pipelines"]["flow"]["versions"][0]["engine"]["answers"].keys() == {"e0", "e1"}
    assert document["pipelines"]["flow"]["versions"][0]["steps"][0]["tensor_map"] == {"parameters": "z"}
    assert document["failures"]["model/bee"].keys() == {"code", "message", "since_ms", "attempts", "next_retry_ms"}
    assert document["experiments"]["duel"]["mirror"] == {"name": "bee", "percent": 3}


def test_every_table_is_there_even_if_it_is_empty() -> None:
    assert to_document(World().state) == {
        "servers": {},
        "responders": {},
        "models": {},
        "pipelines": {},
        "experiments": {},
        "failures": {},
        "policy": {
            "retry_interval_ms": 60_000,
            "retry_limit": 10,
            "tombstone_ttl_ms": 86_400_000,
            "scale_down_stabilisation_ms": 60_000,
            "model_autoscaling": True,
            "server_autoscaling": True,
            "pack_servers": False,
        },
    }


def test_a_document_gives_its_state_back_indexes_in_the_order_of_numbers() -> None:
    world = full()
    again = from_document(world.document)
    assert again == world.state
    assert [replica.index for replica in again.servers["s1"].replicas] == [9, 10]
    assert from_document({}) == World().state


def broken(path: list[Any], value: Any) -> Any:
    document = copy.deepcopy(full().document)
    target = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return document


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "x",
        {"servers": []},
        {"cats": {}},
        {"policy": None},
        {"policy": {"retry_limit": "3"}},
        broken(["servers", "s1", "shared"], 1),
        broken(["servers", "s1", "replicas"], {"x": {}}),
        broken(["models", "ant", "versions"], {}),
        broken(["models", "ant", "versions", 0, "status"], None),
        broken(["failures", "model/bee", "attempts"], 1.5),
        broken(["pipelines", "flow", "versions", 0, "engine", "answers"], 3),
        broken(["models", "ant"], None),
    ],
)
def test_what_is_no_state_is_refused(document: Any) -> None:
    with pytest.raises(InvalidState, match="no state document"):
        from_document(document)
