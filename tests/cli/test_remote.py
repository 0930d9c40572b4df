from collections.abc import Iterator
from http import HTTPStatus

import pytest

from processor.cli.exits import Exit
from processor.engine.health import Health
from processor.service.answers import Answer
from processor.service.api import Views, answer
from processor.service.server import HttpServer
from tests.cli.conftest import Cli

DOCUMENT = {
    "policy": {"retry_limit": 10},
    "servers": {"s1": {"name": "s1", "replicas": {"0": {"draining": True}}, "expected_replicas": 1}},
    "responders": {},
    "models": {
        "iris": {
            "name": "iris",
            "generation": 2,
            "versions": [{"version": 1, "status": "Available", "available_replicas": 1, "deployment": {"replicas": 2}}],
        }
    },
    "pipelines": {},
    "experiments": {"duel": {"name": "duel", "kind": "model", "status": "Active"}},
    "failures": {"model/iris": {"code": "load_failed", "attempts": 1, "message": "x"}},
}
VIEWS = Views(
    app="cluster",
    instance="here-1",
    clusters=("cluster",),
    health=lambda: (Health(shard=0, phase="owner", seq=4, seen_s=1.0, committed_ms=1, state=DOCUMENT),),
    document=lambda state: state,
    metrics=lambda: b"",
    now_s=lambda: 1.0,
    now_ms=lambda: 1,
)


@pytest.fixture
def url() -> "Iterator[str]":
    with HttpServer(":0", lambda target: answer(VIEWS, target)) as server:
        yield server.url


def test_the_state_of_a_running_processor(url: str, cli: Cli) -> None:
    assert cli("state", "get", "--server", url, "-o", "json").json == DOCUMENT
    assert cli("state", "get", "--server", url).out.splitlines() == [
        "KIND        NAME        STATUS",
        "policy      cluster     -",
        "server      s1          -",
        "model       iris        Available",
        "experiment  duel        Active",
        "failure     model/iris  load_failed",
    ]
    rows = cli("state", "get", "models", "--server", url).out.splitlines()
    assert rows[1].split() == ["iris", "Available", "1", "-", "1", "2", "2", "-", "-"]
    assert cli("state", "get", "servers", "--server", url).out.splitlines()[1].split()[:3] == ["s1", "1", "1"]
    assert cli("state", "get", "failure", "model/iris", "--server", url, "-o", "json").json["code"] == "load_failed"


def test_the_address_may_stand_in_the_environment(url: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSOR_SERVER", url)
    assert cli("state", "get", "-o", "name").out.splitlines()[0] == "policy/cluster"


def test_status_is_the_servers_own_judgement(url: str, cli: Cli) -> None:
    told = cli("status", "--server", url, "-o", "json")
    assert (told.code, told.json[0]["status"], told.json[0]["seq"]) == (Exit.OK, "healthy", 4)


def test_nobody_there_is_exit_three(cli: Cli) -> None:
    told = cli("state", "get", "--server", "http://127.0.0.1:1")
    assert (told.code, told.out) == (Exit.UNREACHABLE, "")
    assert "does not answer" in told.err


def test_something_else_there_is_told(cli: Cli) -> None:
    with HttpServer(":0", lambda _: Answer(HTTPStatus.OK, "text/html", b"<html>")) as server:
        told = cli("status", "--server", server.url)
    assert (told.code, "is no processor" in told.err) == (Exit.UNREACHABLE, True)


def test_an_address_that_is_none_is_a_usage_error(cli: Cli) -> None:
    assert cli("status", "--server", "localhost:80").code == Exit.USAGE


def test_without_etcd_a_command_says_whom_to_ask(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSOR_ETCD__ENDPOINTS", "127.0.0.1:1")
    told = cli("state", "get")
    assert (told.code, "--server URL" in told.err) == (Exit.UNREACHABLE, True)
