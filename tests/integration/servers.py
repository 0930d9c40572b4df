"""Servers of one test's own that are more than one process: behind a proxy, or several that form a cluster."""

import os
import random
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from tests.integration.proxy import Proxy
from tests.local_servers import LocalServer
from tests.waiting import wait_until

OwnServer = Callable[..., LocalServer]

MEMBERS = 3
ANSWER_TIMEOUT_S = 30.0
PROTOCOLS = "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT"
TRANSACTIONS = "__transaction_state"
TRANSACTION_PARTITIONS = 4
"""As the local broker's settings have it."""
REPLICATED = (
    "default.replication.factor=3",
    "offsets.topic.replication.factor=3",
    "transaction.state.log.replication.factor=3",
    "share.coordinator.state.topic.replication.factor=3",
)


def free_port() -> int:
    """Return a port that nobody listens on, of those that this worker may take."""
    low, _, high = os.environ.get("LOCAL_SERVICES_PORTS", "20000-32000").partition("-")
    while True:
        port = random.randint(int(low), int(high))
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


@contextmanager
def kafka_behind_proxy(own_kafka: OwnServer) -> Iterator[tuple[LocalServer, Proxy]]:
    """Give a broker with two ways in: its own address, and the proxy's, by which those who use it stay behind it."""
    direct, hidden, controller, outside = (free_port() for _ in range(4))
    server = own_kafka(
        f"listeners=PLAINTEXT://127.0.0.1:{direct},PROXIED://127.0.0.1:{hidden},CONTROLLER://127.0.0.1:{controller}",
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{direct},PROXIED://127.0.0.1:{outside}",
        f"listener.security.protocol.map={PROTOCOLS}",
        f"controller.quorum.voters=1@127.0.0.1:{controller}",
        port=direct,
    )
    proxy = Proxy(f"127.0.0.1:{hidden}", port=outside)
    yield server, proxy
    proxy.close()


def etcd_cluster(own_etcd: OwnServer) -> list[LocalServer]:
    """Return three members of one etcd cluster."""
    peers = [f"http://127.0.0.1:{free_port()}" for _ in range(MEMBERS)]
    cluster = ",".join(f"member-{number}={peer}" for number, peer in enumerate(peers))

    def start(number: int) -> LocalServer:
        peer = peers[number]
        return own_etcd(
            f"--name=member-{number}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={cluster}",
        )

    # none of them answers before two run
    with ThreadPoolExecutor(MEMBERS) as pool:
        return list(pool.map(start, range(MEMBERS)))


def leads(member: LocalServer) -> bool:
    """Tell whether this member is the leader."""
    with grpc.insecure_channel(member.address) as channel:
        status: Any = stubs.MaintenanceStub(channel).Status(rpc.StatusRequest(), timeout=ANSWER_TIMEOUT_S)
    return bool(status.leader == status.header.member_id)


class KafkaCluster(msgspec.Struct, frozen=True):
    """Brokers by node id, node 1 is the controller, too; `bootstrap` has all addresses."""

    brokers: dict[int, LocalServer]
    bootstrap: str

    def coordinator_of(self, transactional_id: str) -> int:
        """Return the node that coordinates the transactions of this id."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        topic = admin.list_topics(TRANSACTIONS, timeout=ANSWER_TIMEOUT_S).topics[TRANSACTIONS]
        leader: int = topic.partitions[_java_hash(transactional_id) % TRANSACTION_PARTITIONS].leader
        return leader


@contextmanager
def kafka_cluster(directory: Path) -> Iterator[KafkaCluster]:
    """Give three brokers that replicate everything, transactions included, and have answered one."""
    controller = free_port()
    first = _broker(directory, 1, controller, "process.roles=broker,controller")
    brokers = {1: first}
    try:
        first.start()
        for node in range(2, MEMBERS + 1):
            brokers[node] = _broker(directory, node, controller, "process.roles=broker")
            _join(directory / "1", directory / str(node), node)
        with ThreadPoolExecutor(MEMBERS) as pool:
            list(pool.map(LocalServer.start, list(brokers.values())[1:]))
        cluster = KafkaCluster(brokers, ",".join(broker.address for broker in brokers.values()))
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        wait_until(
            lambda: len(admin.list_topics(timeout=ANSWER_TIMEOUT_S).brokers) == MEMBERS, what="all brokers are known"
        )
        # with the first transaction Kafka makes the topic that holds their state, on all that are there
        Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": "first"}).init_transactions(
            ANSWER_TIMEOUT_S
        )
        yield cluster
    finally:
        for broker in brokers.values():
            broker.kill()  # an orderly end waits half a minute for a controller that has gone first


def _broker(directory: Path, node: int, controller: int, roles: str) -> LocalServer:
    port = free_port()
    listeners = f"PLAINTEXT://127.0.0.1:{port}" + (f",CONTROLLER://127.0.0.1:{controller}" if node == 1 else "")
    options = (
        roles,
        f"node.id={node}",
        f"listeners={listeners}",
        f"controller.quorum.voters=1@127.0.0.1:{controller}",
        *REPLICATED,
    )
    folder = directory / str(node)
    folder.mkdir()
    return LocalServer("kafka", folder, options, port=port)


def _join(first: Path, folder: Path, node: int) -> None:
    """Format a broker's storage for the cluster that the first node has formed."""
    known = dict(
        line.split("=", 1) for line in (first / "kafka/data/meta.properties").read_text().splitlines() if "=" in line
    )
    data = folder / "kafka/data"
    data.mkdir(parents=True)
    identity = {"version": "1", "node.id": str(node), "cluster.id": known["cluster.id"]}
    (data / "meta.properties").write_text("".join(f"{name}={value}\n" for name, value in identity.items()))


def _java_hash(text: str) -> int:
    """Return Java's String.hashCode without its sign, by which Kafka chooses."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF
