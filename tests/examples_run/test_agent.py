"""The producer and the agent of the examples, with a real processor between them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from examples.agent import reports
from tests.integration.play import Play
from tests.integration.processes import PROJECT, command
from tests.waiting import wait_until

WHERE = {"model": "iris", "version": 1, "server": "cpu", "replica": 0}


def test_a_replica_reports_what_it_was_told_and_nothing_that_others_were_told() -> None:
    mine = {"version": 1, "server": "cpu", "replica": 0}
    change = {
        "before": None,
        "after": {"name": "iris"},
        "transitions": [
            {"type": "ModelAdded"},
            {"type": "ReplicaLoadRequested", **mine},
            {"type": "ReplicaLoadRequested", **mine, "replica": 1},
            {"type": "ReplicaUnloadRequested", **mine},
        ],
    }
    told = list(reports("iris", change, server="cpu", replica=0, free_memory=5))
    assert told == [
        ("ModelReplicaLoading", WHERE),
        ("ModelReplicaLoaded", {**WHERE, "available_memory": 5}),
        ("ModelReplicaUnloaded", {**WHERE, "available_memory": 5}),
    ]


def test_an_agent_loads_what_a_producer_wants_and_goes_on_where_it_was(play: Play, tmp_path: Path) -> None:
    stage, place = play.stage, tmp_path / "agent.json"
    common = ["--bootstrap", stage.bootstrap, "--topics", str(stage.topics_file)]
    place.write_text(json.dumps({"next_offset": 0, "number": -1}))

    def agent() -> "subprocess.Popen[str]":
        options = [*common, "--place", str(place)]
        return subprocess.Popen(
            [sys.executable, "examples/agent.py", *options], cwd=PROJECT, text=True, stdout=subprocess.PIPE
        )

    def state() -> str:
        told = command(stage.environment(), "state", "get", "model", "iris", "-o", "json")
        return str(json.loads(told.stdout)["versions"][0]["replicas"]["0"]["state"]) if told.stdout else ""

    def submit(event_type: str, **data: Any) -> None:
        told = command(stage.environment(), "submit", event_type, "--data", json.dumps({"model": "iris", **data}))
        assert told.returncode == 0, told.stderr

    stage.start()
    first = agent()
    subprocess.run([sys.executable, "examples/produce_events.py", *common], cwd=PROJECT, check=True)
    wait_until(lambda: state() == "Loaded", what="the model is loaded")
    wait_until(
        lambda: json.loads(place.read_text())["number"] == len(play.follower.changes) - 1,
        what="the agent has kept its place behind all announcements",
    )
    first.kill()
    assert first.communicate()[0].splitlines() == ["ModelReplicaLoading iris v1", "ModelReplicaLoaded iris v1"]

    second = agent()
    submit("ModelUnloadRequested")
    wait_until(lambda: state() == "UnrouteRequested", what="the router is asked first")
    submit("ModelRouteApplied", route_revision=2)
    wait_until(lambda: state() == "Unloaded", what="the model is unloaded")
    second.kill()
    assert second.communicate()[0].splitlines() == ["ModelReplicaUnloaded iris v1"]
