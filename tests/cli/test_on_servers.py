"""The commands against real Kafka and etcd, with a processor at work."""

import json
from pathlib import Path

import pytest
from etcd3.etcdrpc import rpc_pb2 as rpc

from processor.assembly.connections import kafka_connection, store_client
from processor.avro.catalogue import Catalogue
from processor.cli.exits import Exit
from processor.client.codec import EventEncoder, RecordDecoder, event_producer
from processor.client.outcomes import Waiter
from processor.configuration.loading import load
from processor.configuration.settings import Settings
from processor.engine.inputs import RecordId
from processor.etcd.layout import ShardKeys
from tests.cli.conftest import Cli

CONNECTED = '{"server": "s1", "replica": 0, "memory": 1000}'


def _load(model: str, generation: int) -> dict[str, object]:
    return {"type": "ModelLoadRequested", "data": {"model": model, "generation": generation, "spec": {"uri": "s3://x"}}}


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    events = [_load("iris", 3), _load("iris", 2), _load("iris", 3)]
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return path


def test_topics_are_planned_made_and_then_as_they_shall_be(servers: dict[str, str], cli: Cli) -> None:
    planned = cli("topics", "plan", "-o", "json")
    assert [row["topic"] for row in planned.json] == list(servers.values())
    assert cli("topics", "check").code == Exit.DIFFERS
    applied = cli("topics", "apply", "-o", "json")
    assert (applied.code, [row["failure"] for row in applied.json]) == (Exit.OK, [""] * 5)
    again = cli("topics", "check")
    assert (again.code, again.out, again.err) == (Exit.OK, "", "all topics are up to date\n")


@pytest.mark.usefixtures("processor")
def test_submit_waits_for_each_outcome(cli: Cli, lines: Path) -> None:
    one = cli("submit", "ServerReplicaConnected", "--data", CONNECTED, "--wait", "-o", "json")
    assert (one.code, one.json[0]["outcome"], one.json[0]["topic"].endswith("server-events")) == (0, "applied", True)
    three = cli("submit", "-f", str(lines), "--wait", "-o", "json")
    assert three.code == Exit.INVALID_DATA
    assert [(row["outcome"], row["code"]) for row in three.json] == [
        ("applied", ""),
        ("rejected", "stale_generation"),
        ("unchanged", ""),
    ]
    assert three.json[1]["message"]


@pytest.mark.usefixtures("processor")
def test_what_is_not_valid_is_never_produced(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f'{json.dumps(_load("iris", 1))}\n{{"type": "ModelLoadRequested", "data": {{"model": "No"}}}}\n')
    told = cli("submit", "-f", str(path))
    assert (told.code, f"{path}:2" in told.err) == (Exit.INVALID_DATA, True)
    assert cli("events", "tail", "--topic", "normal", "-o", "json").out == ""


@pytest.mark.usefixtures("processor")
def test_events_commits_and_state_show_what_was_submitted(cli: Cli, lines: Path, servers: dict[str, str]) -> None:
    cli("submit", "ServerReplicaConnected", "--data", CONNECTED, "--wait")
    cli("submit", "-f", str(lines), "--wait")

    produced = [json.loads(line) for line in cli("events", "tail", "--topic", "normal", "-o", "json").out.splitlines()]
    assert [(one["offset"], one["type"], one["topic"]) for one in produced] == [
        (offset, "processor.events.ModelLoadRequested", servers["normal"]) for offset in range(3)
    ]
    assert produced[0]["value"]["model"] == "iris"
    assert produced[0]["headers"]["ce_type"] == "processor.events.ModelLoadRequested"

    commits = cli("commits", "list", "-o", "json").json
    assert [commit["seq"] for commit in commits] == list(range(1, len(commits) + 1))
    last = next(commit for commit in commits if commit["rejected"] == 1)
    shown = cli("commits", "show", str(last["seq"]), "-o", "json").json
    assert shown["commit"]["digest"] == last["digest"]
    assert shown["announcements"][0]["key"] == "model/iris"
    assert shown["announcements"][-1]["key"].startswith("rejected/")
    assert cli("commits", "show", "999").code == Exit.DIFFERS

    assert cli("state", "get", "-o", "name").out.splitlines() == ["policy/cluster", "server/s1", "model/iris"]
    assert cli("state", "get", "models", "-o", "json").json["iris"]["generation"] == 3
    assert cli("state", "get", "model", "iris", "-o", "json").json["name"] == "iris"
    assert cli("state", "get", "model", "none").code == Exit.DIFFERS
    assert cli("state", "get", "cats").code == Exit.USAGE


@pytest.mark.usefixtures("processor")
def test_the_tail_counts_from_the_end_or_from_a_place(cli: Cli, lines: Path) -> None:
    cli("submit", "-f", str(lines), "--wait")

    def offsets(*more: str) -> list[int]:
        out = cli("events", "tail", "--topic", "normal", "-o", "json", *more).out
        return [json.loads(line)["offset"] for line in out.splitlines()]

    assert offsets("-n", "2") == [1, 2]
    assert offsets("--from", "1") == [1, 2]
    assert offsets("--from", "beginning", "-n", "1") == [0]
    assert offsets("--from", "end") == []
    assert cli("events", "tail", "-n", "0").code == Exit.USAGE
    assert cli("events", "tail", "--from", "yesterday").code == Exit.USAGE
    assert cli("events", "tail", "--topic", "cats").code == Exit.USAGE


@pytest.mark.usefixtures("processor")
def test_a_dead_letter_keeps_the_original(cli: Cli, servers: dict[str, str], settings_now: Settings) -> None:
    catalogue = Catalogue.load(settings_now.schemas_dir)
    connection = kafka_connection(settings_now)
    names = dict(servers)
    waiter = Waiter(connection, names, RecordDecoder(catalogue), partition=0)  # type: ignore[arg-type]
    with event_producer(connection, names, EventEncoder(catalogue), clusters=("cluster",)) as producer:  # type: ignore[arg-type]
        producer.send_encoded(names["normal"], b"no event", (("x", b"y"),))
        place = RecordId(names["normal"], 0, producer.flush()[0].offset)
    fate = waiter.wait([place], timeout_s=30)[place]
    assert (fate.outcome, fate.code) == ("dead_lettered", "undecodable")

    (letter,) = cli("dead-letters", "list", "-o", "json").json
    assert (letter["id"], letter["code"], letter["bytes"]) == (str(place), "undecodable", 8)
    shown = cli("dead-letters", "show", letter["id"], "-o", "json").json
    assert (shown["text"], shown["headers"], shown["key"]) == ("no event", {"x": "y"}, "cluster")
    assert cli("dead-letters", "show", "none-0-0").code == Exit.DIFFERS


@pytest.mark.usefixtures("processor")
def test_status_shards_and_doctor_agree_that_all_is_well(cli: Cli) -> None:
    (row,) = cli("status", "-o", "json").json
    assert (row["status"], row["high_lag"], row["normal_lag"]) == ("healthy", 0, 0)
    (shard,) = cli("shards", "list", "-o", "json").json
    assert (shard["owner"], shard["epoch"]) == (row["owner"], row["epoch"])
    doctor = cli("doctor", "-o", "json")
    assert doctor.code == Exit.OK, doctor.out
    assert {check["check"] for check in doctor.json} == {
        "schemas",
        "kafka",
        "kafka rights",
        "topics",
        "transactions",
        "etcd",
        "etcd limits",
        "etcd space",
        "etcd version",
        "clock",
        "shard 0",
        "shard 0 inputs",
        "shard 0 output",
        "shard 0 state",
        "shard 0 transactions",
    }


@pytest.mark.usefixtures("servers")
def test_without_an_owner_the_shard_is_down(cli: Cli) -> None:
    cli("topics", "apply")
    assert cli("status").code == Exit.DIFFERS
    assert cli("state", "get").code == Exit.CONFLICT
    assert cli("submit", "ServerReplicaConnected", "--data", CONNECTED, "--wait", "--timeout", "0.5").code == (
        Exit.UNREACHABLE
    )


@pytest.mark.usefixtures("servers")
def test_missing_topics_are_told_with_what_to_do(cli: Cli) -> None:
    told = cli("events", "tail")
    assert told.code == Exit.USAGE
    assert "processor topics apply" in told.err
    assert cli("doctor").code == Exit.DIFFERS


@pytest.mark.usefixtures("servers")
def test_run_once_processes_what_is_there_and_ends(cli: Cli) -> None:
    cli("topics", "apply")
    cli("submit", "ServerReplicaConnected", "--data", CONNECTED)
    assert cli("run", "--once").code == Exit.OK
    assert cli("state", "get", "servers", "-o", "name").out == "server/s1\n"
    told = cli("shards", "adopt", "0")
    assert (told.code, "nothing to adopt" in told.err) == (Exit.DIFFERS, True)


@pytest.mark.usefixtures("servers")
def test_a_foreign_edit_is_planned_and_adopted(cli: Cli, settings_now: Settings) -> None:
    cli("topics", "apply")
    cli("submit", "ServerReplicaConnected", "--data", CONNECTED)
    cli("run", "--once")
    with store_client(settings_now) as client:
        key = ShardKeys(settings_now.etcd.prefix, settings_now.app, 0).entity("server/s1")
        client.kv.DeleteRange(rpc.DeleteRangeRequest(key=key))
    plan = cli("shards", "adopt", "0", "-o", "json")
    assert (plan.code, plan.json["adopted"], "add --execute" in plan.err) == (Exit.OK, False, True)
    done = cli("shards", "adopt", "0", "--execute", "-o", "json")
    assert (done.code, done.json["adopted"]) == (Exit.OK, True)
    assert cli("run", "--once").code == Exit.OK
    assert cli("state", "get", "servers", "-o", "name").out == ""
    assert [commit["kind"] for commit in cli("commits", "list", "-o", "json").json][-1] == "repair"


@pytest.fixture
def settings_now(servers: dict[str, str]) -> Settings:
    del servers
    return load().settings


@pytest.mark.usefixtures("servers")
def test_the_demo_plays_on_real_servers_and_makes_their_topics_first(cli: Cli) -> None:
    told = cli("dev", "--demo", "--for", "5", "-o", "json")
    assert told.code == Exit.OK, told.err
    assert "processor on Kafka at" in told.err
    assert (told.json["dead_lettered"], told.json["events"] > 1200) == (1, True)
    assert cli("topics", "check").code == Exit.OK
    commits = cli("commits", "list", "-n", "1", "-o", "json").json
    assert commits[0]["digest"] == told.json["digest"]
