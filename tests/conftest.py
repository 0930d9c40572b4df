"""Real services for the tests that ask for them, and how the tests are spread over workers.

Each worker of pytest-xdist starts a Kafka and an etcd of its own, once and only when a test asks for them.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.local_servers import LocalServer, ServiceName
from tests.services import Etcd, Kafka, ServicesMissingError, serve

SERVICE_FIXTURES = {"kafka", "etcd", "own_kafka", "own_etcd", "lab"}
CHOSEN = pytest.StashKey[list[str]]()
LEFT_OUT = pytest.StashKey[int]()
TOGETHER = ("tests/security/",)
"""Folders whose tests share servers that take long to start: one worker runs them all."""
PORT_MIN, PORT_SLICES, PORTS_EACH = 20_000, 12, 1_000
APART = ("tests/integration/", "tests/simulation/", "tests/sizes/")
"""Folders whose tests are long and share nothing: any worker runs any of them."""

# A deadline would be a timed assertion. "fixed" draws the same examples on every run and machine.
settings.register_profile("project", deadline=None)
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-services", action="store_true", help="leave out the tests that need real Kafka or etcd")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CHOSEN] = []
    config.stash[LEFT_OUT] = 0
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker:  # two workers that look for a free port at the same moment must not find the same one
        low = PORT_MIN + int(worker) % PORT_SLICES * PORTS_EACH
        os.environ["LOCAL_SERVICES_PORTS"] = f"{low}-{low + PORTS_EACH - 1}"


@pytest.hookimpl(tryfirst=True)  # before pytest's own -m looks at the markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if SERVICE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("services")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)  # what is long begins first
    if config.getoption("--no-services"):
        left_out = [item for item in items if item.get_closest_marker("services")]
        items[:] = [item for item in items if not item.get_closest_marker("services")]
        config.hook.pytest_deselected(items=left_out)
        config.stash[LEFT_OUT] = len(left_out)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # the base is untyped
    """Keeps the tests of a file on one worker, except where it pays to do otherwise."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(APART):
            return nodeid
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # a worker of pytest-xdist
    if output is not None:
        output["services"] = (session.config.stash[CHOSEN], session.config.stash[LEFT_OUT])


def pytest_testnodedown(node: Any) -> None:
    chosen, left_out = getattr(node, "workeroutput", {}).get("services", ([], 0))
    node.config.stash[CHOSEN] += chosen
    node.config.stash[LEFT_OUT] = left_out


def pytest_report_header(config: pytest.Config) -> str:
    if config.getoption("--no-services"):
        return "services: none (--no-services)"
    rung = os.environ.get("PROCESSOR_TEST_RUNG") or "address, testcontainers, local: the first that holds"
    return f"services: {rung}; started when a test asks for them"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[CHOSEN]:
        terminalreporter.write_line(f"services: {line}")
    if config.getoption("--no-services"):
        count = config.stash[LEFT_OUT]
        terminalreporter.write_line(f"services: {count} tests that need real services were left out (--no-services)")


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One real broker for the session; topics are made by the tests, under names of their own."""
    for address in _session_server("kafka", request.config, tmp_path_factory.mktemp("services")):
        yield Kafka(address)


@pytest.fixture(scope="session")
def etcd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """One real etcd for the session; tests write under prefixes of their own."""
    for address in _session_server("etcd", request.config, tmp_path_factory.mktemp("services")):
        yield Etcd(address)


def _session_server(service: ServiceName, config: pytest.Config, directory: Path) -> Iterator[str]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(serve(service, directory, os.environ))
        except ServicesMissingError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        config.stash[CHOSEN].append(f"{service}: {server.rung}")
        yield server.address


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Take back what a command's log set-up did: its stream is closed when the test that captured it ends."""
    level = logging.root.level
    yield
    for handler in logging.root.handlers[:]:
        if type(handler).__module__ == "processor.runtime.logs":
            logging.root.removeHandler(handler)
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def namespace() -> str:
    """Return a short name that no other test of any session has, for topics and etcd prefixes."""
    return f"test-{secrets.token_hex(5)}"


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalServer]]:
    """Give a function that starts a broker this test may stop and kill: own_kafka("name=value", ..., port=0)."""
    yield from _own_servers("kafka", tmp_path_factory)


@pytest.fixture
def own_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalServer]]:
    """Give a function that starts an etcd this test may stop and kill: own_etcd("--flag=value", ..., port=0)."""
    yield from _own_servers("etcd", tmp_path_factory)


def _own_servers(
    service: ServiceName, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., LocalServer]]:
    servers: list[LocalServer] = []

    def start(*options: str, port: int = 0) -> LocalServer:
        server = LocalServer(service, tmp_path_factory.mktemp(f"own-{service}"), options, port=port)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()
