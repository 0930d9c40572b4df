"""`state explain` asked of a processor over HTTP; what it reads from the topics is held against real servers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from processor.cli.exits import Exit
from processor.cli.explain import EPISODES, ROWS_MAX, lines
from processor.service.api import respond
from processor.service.server import HttpServer
from tests.cli.conftest import Cli, api_sources
from tests.cluster.world import World


@pytest.fixture
def url() -> "Iterator[str]":
    world = World()
    world.connect(memory=50)
    world.load(requirements=["gpu"])
    with HttpServer(":0", lambda target: respond(api_sources(world.document), target)) as server:
        yield server.url


def test_a_person_reads_what_is_wrong_and_what_to_do(url: str, cli: Cli) -> None:
    told = cli("state", "explain", "model", "iris", "--server", url)
    assert told.code == Exit.OK
    text = told.out.splitlines()
    assert text[:6] == [
        "model iris: ScheduleFailed",
        "  because no server takes version 1: insufficient_replicas",
        "",
        "waits for",
        "  - room for version 1: 0 of 1 replicas have a place (see servers)",
        "  - the clock, for retry 1 of 10: the latest version is placed again",
    ]
    facts = [line.split() for line in text]
    assert ["failure", "next", "retry", "1970-01-01T00:01:02.000Z"] in facts
    assert "lacks gpu; needs 100 bytes, 50 are free" in told.out
    assert "PROCESSOR_KAFKA__BOOTSTRAP_SERVERS" in text[-1]


def test_a_machine_gets_the_same_as_json(url: str, cli: Cli) -> None:
    told = cli("state", "explain", "models", "iris", "--server", url, "-o", "json").json
    assert (told["kind"], told["name"], told["status"]) == ("model", "iris", "ScheduleFailed")
    (verdict,) = told["sections"]["server replicas"]
    assert (verdict["required"], verdict["free"], verdict["missing"]) == (100, 50, ["gpu"])
    assert (told["history"], "is not set" in told["history_note"]) == (None, True)
    assert cli("state", "explain", "model", "iris", "--server", url, "-o", "name").out == "model/iris\n"
    failure = cli("state", "explain", "failure", "model/iris", "--server", url, "-o", "json").json
    assert failure["facts"]["retry_interval_ms"] == 60_000


def test_what_does_not_exist_cannot_be_explained(url: str, cli: Cli) -> None:
    assert cli("state", "explain", "model", "none", "--server", url).code == Exit.DIFFERS
    assert cli("state", "explain", "cat", "iris", "--server", url).code == Exit.USAGE
    assert cli("state", "explain", "model", "iris", "--server", "http://127.0.0.1:1").code == Exit.UNREACHABLE


def test_brokers_that_are_away_leave_the_explanation_without_history(
    url: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    told = cli("state", "explain", "server", "s1", "--server", url)
    assert (told.code, told.out.splitlines()[0]) == (Exit.OK, "server s1: undeclared")
    assert "without history: Kafka at 127.0.0.1:1 does not answer" in told.out
    assert "history" not in cli("state", "explain", "server", "s1", "--server", url, "--count", "0").out


def test_a_state_of_another_build_is_told_as_that(cli: Cli) -> None:
    document = {**World().document, "cats": {}}
    with HttpServer(":0", lambda target: respond(api_sources(document), target)) as server:
        told = cli("state", "explain", "policy", "cluster", "--server", server.url)
    assert (told.code, "this build cannot read" in told.err) == (Exit.INVALID_DATA, True)


def test_a_long_table_is_cut_for_people() -> None:
    rows = [{"server": f"s{number}", "since_ms": 0} for number in range(ROWS_MAX + 3)]
    text = list(lines(_document(sections={"servers": rows})))
    assert [line.strip() for line in text if line][-1] == "… 3 more; -o json shows all"
    assert len(text) < ROWS_MAX + 10


def test_a_history_tells_causes_and_what_went_along() -> None:
    place = {"topic": "normal", "partition": 0, "offset": 3, "at_ms": 0, "data": {"model": "iris"}}
    event = {**place, "event_id": "normal-0-3", "fields": None}
    episode = {
        "seq": 7,
        "committed_ms": 0,
        "op": "update",
        "transitions": [{"type": "ModelFailed", "version": 1, "from": "Progressing", "reason": "no file"}],
        "events": [
            {**event, "type": "ModelReplicaLoadFailed", "named": True},
            {**event, "type": "ClockTicked", "data": {}, "named": False},
        ],
        "untold": 2,
        "lost": "",
    }
    text = list(lines(_document(history=[episode, {**episode, "lost": "gone", "events": []}])))
    start = text.index("history, the newest first")
    assert text[start + 1 : start + 6] == [
        "  commit 7  1970-01-01T00:00:00.000Z  update",
        "      ModelFailed v1 after Progressing (no file)",
        '    caused by ModelReplicaLoadFailed {"model": "iris"}  normal[0]@3  1970-01-01T00:00:00.000Z',
        "    along with ClockTicked -  normal[0]@3  1970-01-01T00:00:00.000Z",
        "    and 2 other events in the same commit",
    ]
    assert text[-1] == "    (gone)"


def test_a_history_tells_what_an_event_changed_and_what_was_refused() -> None:
    place = {"topic": "normal", "partition": 0, "offset": 3, "at_ms": 0, "data": {"model": "iris"}}
    event = {**place, "event_id": "e1", "type": "ClockTicked", "named": False, "fields": ["deleted", "reason"]}
    episode = {"seq": 7, "committed_ms": 0, "op": "update", "transitions": [], "events": [event]}
    refusal = {**place, "seq": 8, "committed_ms": 0, "event_id": "normal-0-3", "type": "ModelLoadRequested"}
    text = list(
        lines(
            _document(
                history=[{**episode, "untold": 0, "lost": ""}],
                refusals=[{**refusal, "code": "stale_generation", "message": "2 is older than 3"}],
            )
        )
    )
    start = text.index("history, the newest first")
    assert text[start + 1 :] == [
        "  commit 7  1970-01-01T00:00:00.000Z  update",
        '    caused by ClockTicked {"model": "iris"}  normal[0]@3  1970-01-01T00:00:00.000Z  id e1',
        "        changed deleted,reason",
        "",
        "refused, the newest first",
        "  commit 8  1970-01-01T00:00:00.000Z  stale_generation: 2 is older than 3",
        '    ModelLoadRequested {"model": "iris"}  normal[0]@3  1970-01-01T00:00:00.000Z',
    ]


def _document(**more: Any) -> dict[str, Any]:
    bare = {"kind": "model", "name": "iris", "status": "", "rule": "x", "facts": {}, "sections": {}, "awaits": []}
    return {**bare, "history": None, "refusals": None, "history_note": "", **more}


@pytest.mark.usefixtures("processor")
def test_real_servers_give_the_history_with_its_causes(cli: Cli, servers: dict[str, str]) -> None:
    connected = '{"server": "s1", "replica": 0, "memory": 1000}'
    wanted = '{"model": "iris", "spec": {"uri": "s3://x", "memory": 10}}'
    failed = '{"model": "iris", "version": 1, "server": "s1", "replica": 0, "reason": "no such file"}'
    for event, data in [
        ("ServerReplicaConnected", connected),
        ("ModelLoadRequested", wanted),
        ("ModelReplicaLoadFailed", failed),
    ]:
        assert cli("submit", event, "--data", data, "--wait").code == Exit.OK
    told = cli("state", "explain", "model", "iris", "-o", "json").json
    assert (told["status"], told["facts"]["reason"], told["history_note"]) == ("Failed", "no such file", "")
    newest, oldest = told["history"]
    assert (newest["op"], oldest["op"]) == ("update", "create")
    assert [(event["topic"], event["type"], event["offset"], event["named"]) for event in newest["events"]] == [
        (servers["normal"], "ModelReplicaLoadFailed", 1, True)
    ]
    assert {transition["type"] for transition in newest["transitions"]} == {"ReplicaStateChanged", "ModelFailed"}
    assert {"versions.0.status", "versions.0.reason"} <= set(newest["events"][0]["fields"])
    assert (newest["untold"], told["refusals"]) == (0, [])
    assert oldest["events"][0]["data"]["spec"]["uri"] == "s3://x"

    text = cli("state", "explain", "model", "iris").out
    assert "ModelFailed v1 after Progressing (no such file)" in text
    assert "caused by ModelReplicaLoadFailed" in text
    assert "there is more" in cli("state", "explain", "model", "iris", "-n", "1").out
    failure = cli("state", "explain", "failure", "model/iris", "-o", "json").json
    assert [episode["op"] for episode in failure["history"]] == ["create"]
    (cause,) = failure["history"][0]["events"]
    assert (cause["type"], cause["named"]) == ("ModelReplicaLoadFailed", True)
    policy = cli("state", "explain", "policy", "cluster", "-o", "json").json
    assert (policy["history"], policy["history_note"]) == ([], "the topic holds no change of it")
    assert len(told["history"]) < EPISODES


@pytest.mark.usefixtures("processor")
def test_real_servers_tell_what_was_refused_and_what_happened_to_what_is_gone(cli: Cli) -> None:
    spec = {"model": "iris", "spec": {"uri": "s3://x", "memory": 10}}
    for event, data in [
        ("ModelLoadRequested", {**spec, "generation": 3}),
        ("ModelLoadRequested", {**spec, "generation": 2}),
        ("ModelLoadRequested", {**spec, "model": "rose", "generation": 1}),
        ("ModelUnloadRequested", {"model": "lily"}),
    ]:
        cli("submit", event, "--data", json.dumps(data), "--wait")
    told = cli("state", "explain", "model", "iris", "-o", "json").json
    assert [(one["code"], one["data"]["generation"], one["type"]) for one in told["refusals"]] == [
        ("stale_generation", 2, "ModelLoadRequested")
    ]
    assert "refused, the newest first" in cli("state", "explain", "model", "iris").out
    absent = cli("state", "explain", "model", "lily")
    assert (absent.code, "there is none of this name (any more)" in absent.out) == (Exit.DIFFERS, True)
    assert "ModelUnloadRequested" in absent.out
    assert cli("state", "explain", "model", "never").code == Exit.DIFFERS
