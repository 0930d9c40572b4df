import socket
import threading
from collections.abc import Iterator
from http import HTTPStatus

import msgspec
import pytest

from processor.cli.exits import Exit
from processor.cli.proxies import proxy_for
from processor.engine.health import Health
from processor.service.api import respond
from processor.service.responses import Response
from processor.service.server import HttpServer
from tests.cli.conftest import Cli, api_sources

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


VIEWS = api_sources(DOCUMENT)


@pytest.fixture
def url() -> "Iterator[str]":
    with HttpServer(":0", lambda target: respond(VIEWS, target)) as server:
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


def test_one_entity_and_a_kind_are_named_alike_everywhere(url: str, cli: Cli) -> None:
    for words in (["model", "iris"], ["models", "iris"], ["model"], ["models"]):
        assert cli("state", "get", *words, "--server", url, "-o", "name").out == "model/iris\n"
    assert cli("state", "get", "failure", "--server", url, "-o", "name").out == "failure/model/iris\n"
    rows = dict(
        line.split(maxsplit=1) for line in cli("state", "get", "model", "iris", "--server", url).out.splitlines()
    )
    assert (rows["FIELD"], rows["versions.0.status"]) == ("VALUE", "Available")


@pytest.mark.parametrize(
    ("owner", "code", "word"), [("there-2", Exit.CONFLICT, "there-2 owns it"), ("", Exit.UNREACHABLE, "standby")]
)
def test_a_processor_that_stands_by_says_whom_to_ask(owner: str, code: Exit, word: str, cli: Cli) -> None:
    standby = Health(shard=0, phase="standby", seen_s=1.0)
    sources = msgspec.structs.replace(VIEWS, health=lambda: (standby,), owner=lambda _shard: owner)
    with HttpServer(":0", lambda target: respond(sources, target)) as server:
        told = cli("state", "get", "--server", server.url)
        (row,) = cli("status", "--server", server.url, "-o", "json").json
    assert (told.code, word in told.err) == (code, True)
    assert (row["owner"], row["epoch"], row["seq"]) == (owner or None, None, None)


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
    with HttpServer(":0", lambda _: Response(HTTPStatus.OK, "text/html", b"<html>")) as server:
        told = cli("status", "--server", server.url)
    assert (told.code, "is not a processor" in told.err) == (Exit.UNREACHABLE, True)


def test_an_address_that_is_none_is_a_usage_error(cli: Cli) -> None:
    told = cli("status", "--server", "localhost")
    assert (told.code, "'localhost' has no port" in told.err) == (Exit.USAGE, True)


def test_an_address_needs_no_scheme(url: str, cli: Cli) -> None:
    assert cli("status", "--server", url.removeprefix("http://"), "-o", "name").code == Exit.OK


def test_a_server_on_ipv6_is_asked_by_the_url_that_it_prints(cli: Cli) -> None:
    with HttpServer("[::1]:0", lambda target: respond(VIEWS, target)) as server:
        assert server.url.startswith("http://[::1]:")
        assert cli("status", "--server", server.url, "-o", "name").code == Exit.OK


def test_what_speaks_no_http_is_told(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer_once, args=(listener, b"220 mail.example ESMTP\r\n"), daemon=True)
        thread.start()
        told = cli("status", "--server", f"127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert (told.code, "is not a processor" in told.err) == (Exit.UNREACHABLE, True)


def _answer_once(listener: socket.socket, words: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(words)


def test_no_proxy_stands_between_us_and_this_machine(url: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert cli("status", "--server", url, "-o", "name").code == Exit.OK


def test_a_proxy_is_named_when_it_does_not_answer(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:hush@127.0.0.1:1")
    told = cli("status", "--server", "http://processor.invalid:8080")
    assert told.code == Exit.UNREACHABLE
    assert "(through the proxy http://127.0.0.1:1; NO_PROXY names hosts without one)" in told.err
    assert "hush" not in told.err


def test_a_proxy_that_refuses_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpServer(":0", lambda _: Response(HTTPStatus.FORBIDDEN, "text/html", b"no")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        told = cli("status", "--server", "http://processor.invalid:8080")
    assert (told.code, f"through the proxy {proxy.url}" in told.err) == (Exit.DIFFERS, True)


@pytest.mark.parametrize(
    ("url", "no_proxy", "proxied"),
    [
        ("http://processor.example:8080/", "", True),
        ("http://processor.example:8080/", "example", False),
        ("http://processor.example:8080/", ".example, other", False),
        ("http://processor.example:8080/", "processor.example:8080", False),
        ("http://processor.example:8080/", "*", False),
        ("http://10.1.2.3:8080/", "10.0.0.0/8", False),
        ("http://10.1.2.3:8080/", "11.0.0.0/8, 10.1.2.4", True),
        ("http://[fd00::1]:8080/", "fd00::/8", False),
        ("http://localhost:8080/", "", False),
        ("http://127.1.2.3:8080/", "", False),
        ("http://[::1]:8080/", "", False),
        ("https://processor.example/", "", False),
    ],
)
def test_the_environment_says_for_which_hosts_there_is_a_proxy(
    url: str, no_proxy: str, *, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert proxy_for(url) == ("http://proxy.example:3128" if proxied else None)


def test_without_etcd_a_command_says_whom_to_ask(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSOR_ETCD__ENDPOINTS", "127.0.0.1:1")
    told = cli("state", "get")
    assert (told.code, "--server URL" in told.err) == (Exit.UNREACHABLE, True)
    assert ("PROCESSOR_ETCD__ENDPOINTS" in told.err, "embedded" in told.err) == (True, False), (
        "nothing is embedded here"
    )
    told = cli("shards", "list")
    assert (told.code, "--server" in told.err) == (Exit.UNREACHABLE, False), "it has no such option"
