"""Real Kafka and etcd for tests, from the first rung of a ladder that holds.

1. addresses: PROCESSOR_TEST_KAFKA, PROCESSOR_TEST_ETCD (host:port of servers that somebody else runs)
2. testcontainers, when a Docker engine answers: PROCESSOR_TEST_KAFKA_IMAGE, PROCESSOR_TEST_ETCD_IMAGE
3. local processes through docker/local

PROCESSOR_TEST_RUNG (address, testcontainers, local) allows one rung only. Tests share the servers of a session, so each
uses topic names and etcd prefixes of its own (fixture `namespace`).
"""

import gc
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.local_servers import LocalServer, LocalServerError, ServiceName

# The start script of testcontainers' Kafka is made for the Confluent image, which holds Apache Kafka.
KAFKA_IMAGE = "confluentinc/cp-kafka:8.1.0"
ETCD_IMAGE = "gcr.io/etcd-development/etcd:v3.6.6"
CONTAINER_START_TIMEOUT_S = 120
REASON_LENGTH_MAX = 160
ETCD_PORT = 2379
ETCD_COMMAND = (
    f"/usr/local/bin/etcd --listen-client-urls http://0.0.0.0:{ETCD_PORT} --advertise-client-urls "
    f"http://127.0.0.1:{ETCD_PORT} --quota-backend-bytes=8589934592 "
    "--auto-compaction-mode=revision --auto-compaction-retention=10000"
)
KAFKA_SETTINGS = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
}


@dataclass(frozen=True)
class Kafka:
    """The session's broker; `bootstrap` is host:port."""

    bootstrap: str


@dataclass(frozen=True)
class Etcd:
    """The session's etcd; `endpoint` is host:port."""

    endpoint: str


@dataclass(frozen=True)
class Server:
    """A server that answers on `address` (host:port), and how it came to be."""

    address: str
    rung: str


class RungUnavailableError(Exception):
    """This rung cannot give the server; the message says why."""


class ServicesMissingError(Exception):
    """No rung can give the server; the message says what to install."""


Rung = Callable[[ServiceName, Path, Mapping[str, str]], AbstractContextManager[Server]]


@contextmanager
def serve(service: ServiceName, directory: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """Give a server of the first rung that holds; `directory` is for the files of a local one."""
    only = environment.get("PROCESSOR_TEST_RUNG")
    refusals = []
    with ExitStack() as stack:
        for name, rung in RUNGS.items():
            if only not in {None, "", name}:
                continue
            try:
                server = stack.enter_context(rung(service, directory, environment))
            except RungUnavailableError as refusal:
                refusals.append(f"{name}: {refusal}")
                continue
            passed_over = f" ({'; '.join(refusals[1:])})" if refusals[1:] else ""  # that no address is set is no news
            yield Server(server.address, f"{server.rung}{passed_over}")
            return
        raise ServicesMissingError(_advice(service, refusals))


def _advice(service: ServiceName, refusals: list[str]) -> str:
    ways = {
        "kafka": "name a broker in PROCESSOR_TEST_KAFKA, start a Docker engine, or install java (17 or later), maven",
        "etcd": "name an etcd in PROCESSOR_TEST_ETCD, start a Docker engine, or install go (1.24 or later)",
    }
    reasons = "".join(f"\n  {refusal}" for refusal in refusals)
    return f"no {service} for tests: {ways[service]}; --no-services leaves these tests out. Tried:{reasons}"


@contextmanager
def _at_address(service: ServiceName, directory: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    del directory
    variable = f"PROCESSOR_TEST_{service.upper()}"
    address = environment.get(variable)
    if not address:
        raise RungUnavailableError(f"{variable} is not set")
    yield Server(address, f"{variable} says {address}")


@contextmanager
def _in_container(service: ServiceName, directory: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    del directory
    container, port = _started_container(service, environment)
    try:
        address = f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"
        yield Server(address, f"testcontainers, image {container.image}, {address}")
    finally:
        container.stop()


def _started_container(service: ServiceName, environment: Mapping[str, str]) -> tuple[Any, int]:
    from docker.errors import DockerException
    from testcontainers.core.exceptions import ContainerStartException

    container, port = _container(service, environment)
    try:
        container.start()
    except (DockerException, ContainerStartException, OSError) as error:
        container.stop()
        raise RungUnavailableError(f"{container.image} does not start ({_first_line(error)})") from error
    return container, port


def _container(service: ServiceName, environment: Mapping[str, str]) -> tuple[Any, int]:
    """Return the container, not started, and the port inside; making it asks the engine for its version."""
    from docker.errors import DockerException

    make = {"kafka": _kafka_container, "etcd": _etcd_container}[service]
    try:
        return make(environment)
    except DockerException as error:
        reason = _first_line(error)
    # Docker's client leaves its socket open; now that nothing refers to it, collect it here, where its warning is no
    # failure of a test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    raise RungUnavailableError(f"no Docker engine answers ({reason})")


def _kafka_container(environment: Mapping[str, str]) -> tuple[Any, int]:
    from testcontainers.community.kafka import KafkaContainer

    class PatientKafkaContainer(KafkaContainer):  # type: ignore[misc] # the base is untyped
        """Its start takes no timeout from a `with` statement, and half a minute is short on a busy machine."""

        def start(self, timeout: int = CONTAINER_START_TIMEOUT_S) -> Any:
            return super().start(timeout)

    container = PatientKafkaContainer(environment.get("PROCESSOR_TEST_KAFKA_IMAGE") or KAFKA_IMAGE).with_kraft()
    return container.with_envs(**KAFKA_SETTINGS), container.port


def _etcd_container(environment: Mapping[str, str]) -> tuple[Any, int]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import HttpWaitStrategy

    healthy = HttpWaitStrategy(ETCD_PORT, "/health").for_status_code(200)
    healthy.with_startup_timeout(timedelta(seconds=CONTAINER_START_TIMEOUT_S))
    container = DockerContainer(environment.get("PROCESSOR_TEST_ETCD_IMAGE") or ETCD_IMAGE, command=ETCD_COMMAND)
    return container.with_exposed_ports(ETCD_PORT).waiting_for(healthy), ETCD_PORT


@contextmanager
def _as_local_process(service: ServiceName, directory: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    del environment
    server = LocalServer(service, directory)
    try:
        server.start()
    except LocalServerError as error:
        raise RungUnavailableError(str(error)) from error
    try:
        yield Server(server.address, f"local process {server.pid}, {server.address}")
    finally:
        server.stop()


def _first_line(error: Exception) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return textwrap.shorten(line, REASON_LENGTH_MAX)


RUNGS: dict[str, Rung] = {
    "address": _at_address,
    "testcontainers": _in_container,
    "local": _as_local_process,
}
