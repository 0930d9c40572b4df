"""Entities near what a record may hold, on real servers: refused growth, and what is too large already."""

import json
from typing import Any

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from processor.cli.exits import Exit
from tests.integration.play import Play, now_ms
from tests.integration.processes import command
from tests.integration.submitter import Line

GIBIBYTE = 1 << 30
SMALL_BYTES = 200_000
ANSWER_TIMEOUT_S = 30.0


def line(lane: str, name: str, data: dict[str, Any]) -> Line:
    headers = (("content-type", b"application/json"), ("ce_type", name.encode()))
    return Line(lane, json.dumps(data).encode(), now_ms(), headers)


def load(model: str, generation: int, uri_bytes: int) -> Line:
    spec = {"uri": str(generation) * uri_bytes}
    return line("normal", "ModelLoadRequested", {"model": model, "generation": generation, "spec": spec})


def unload(model: str) -> Line:
    return line("normal", "ModelUnloadRequested", {"model": model, "generation": 9})


def lower_limit(play: Play) -> None:
    """Let the changes topic take small records only."""
    entry = ConfigEntry("max.message.bytes", str(SMALL_BYTES), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, play.stage.topics["changes"], incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": play.stage.bootstrap})
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(ANSWER_TIMEOUT_S)


def test_growth_is_refused_and_what_is_too_large_already_hinders_nobody_and_goes(play: Play) -> None:
    first = play.stage.start()
    where = {"server": "cpu", "replica": 0}
    play.send([line("high", "ServerReplicaConnected", {**where, "memory": 9 * GIBIBYTE})])
    play.send([load("large", 1, 400_000), load("iris", 1, 200_000), load("iris", 2, 200_000), load("iris", 3, 200_000)])
    play.wait_until_quiet()
    assert first.terminate() == 0
    lower_limit(play)
    play.stage.start(ETCD__REQUEST_BYTES_MAX="300000")
    play.send([load("small", 1, 10), load("large", 2, 10), unload("iris"), unload("large")])
    play.send([line("high", "ServerReplicaDraining", where)])
    play.send([line("high", "ServerReplicaDisconnected", {**where, "reason": "lost"})])
    play.send([line("high", "PolicyChanged", FORGETFUL), line("normal", "ClockTicked", {})])
    artefacts = play.assert_whole()
    refused = [one.value for one in artefacts.changes if one.type.endswith("EventRejected")]
    assert [(one["code"], one["message"].split()[0]) for one in refused] == [
        ("entity_too_large", "model/iris"),
        ("entity_too_large", "model/large"),
    ]
    assert "at most 520198 are taken" in refused[0]["message"]
    assert artefacts.dead_letters == ()
    assert {"model/iris", "model/large"}.isdisjoint(artefacts.store.entities)
    gone = [one for one in artefacts.changes if one.record.key == b"model/large" and one.value["op"] == "d"]
    assert [one.headers["processor-before"] for one in gone] == ["omitted"]
    done = command(play.stage.environment(), "replay", "--verify", "--announcements", "-o", "json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["findings"]) == (Exit.OK, []), done.stderr


FORGETFUL = {
    "retry_interval_ms": 3000,
    "retry_limit": 3,
    "tombstone_ttl_ms": 0,
    "scale_down_stabilisation_ms": 2000,
    "model_autoscaling": True,
    "server_autoscaling": True,
    "pack_servers": False,
}
