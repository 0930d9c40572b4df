from typing import Any

import pytest

from processor.cli.wording import transition_words
from processor.cluster.document import change_to_json
from processor.cluster.machine import ClusterMachine
from tests.cluster.scenarios import told

ROUTES = [
    {"version": 2, "server": "s1", "replicas": [0, 1], "weight": 67},
    {"version": 1, "server": "s2", "replicas": [4], "weight": 33},
]
PLACE = {"version": 1, "server": "s1", "replica": 0}


@pytest.mark.parametrize(
    ("transition", "words"),
    [
        ({"type": "ServerAdded"}, "ServerAdded"),
        ({"type": "ServerReplicaDrained", "replica": 0}, "ServerReplicaDrained replica 0"),
        ({"type": "ServerScaleRequested", "to": 3}, "ServerScaleRequested to 3"),
        (
            {"type": "OrphanUnloadRequested", "replica": 1, "model": "old", "version": 3},
            "OrphanUnloadRequested old v3 replica 1",
        ),
        (
            {"type": "ReplicaStateChanged", **PLACE, "from": "Loading", "to": "LoadFailed", "reason": "no file"},
            "ReplicaStateChanged v1 s1/0 Loading → LoadFailed (no file)",
        ),
        (
            {"type": "ReplicaLoadRequested", **PLACE, "from": "", "to": "LoadRequested", "reason": ""},
            "ReplicaLoadRequested v1 s1/0 ∅ → LoadRequested",
        ),
        (
            {"type": "ModelFailed", "version": 1, "from": "Progressing", "reason": "no file"},
            "ModelFailed v1 after Progressing (no file)",
        ),
        ({"type": "ModelProgressing", "version": 1, "from": "", "reason": ""}, "ModelProgressing v1"),
        (
            {"type": "ModelRoutesChanged", "route_revision": 2, "routes": ROUTES},
            "ModelRoutesChanged revision 2 → v2 s1/0,1 67 %, v1 s2/4 33 %",
        ),
        ({"type": "ModelRoutesChanged", "route_revision": 3, "routes": []}, "ModelRoutesChanged revision 3 → ∅"),
        (
            {"type": "PipelineCreateRequested", "version": 1, "role": "dataflow_engine", "sequence": 2},
            "PipelineCreateRequested v1 dataflow_engine #2",
        ),
        (
            {"type": "ExperimentRoutesChanged", "route_revision": 2, "wanted": False},
            "ExperimentRoutesChanged revision 2 not wanted",
        ),
    ],
)
def test_a_transition_says_of_what_from_what_to_what_and_why(transition: dict[str, Any], words: str) -> None:
    assert transition_words(transition) == words


def test_every_transition_that_there_is_has_words() -> None:
    machine = ClusterMachine()
    seen = set()
    for seed in range(5):
        before = machine.empty()
        for state, _, _ in told(seed, 100):
            for change in machine.diff(before, state):
                for transition in change_to_json(change)["transitions"]:
                    seen.add(transition["type"])
                    assert transition_words(transition).startswith(transition["type"])
            before = state
    assert len(seen) > 20
