"""Configuration → wired parts. The only module that knows all adapters.

A backend gives the ports of each shard; the service runs the shards on it.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.avro.decoder import AvroEventDecoder
from processor.clock import SystemClock
from processor.cluster.events import InvalidEvent, parse_json_event
from processor.cluster.machine import ClusterMachine
from processor.collector import spare_the_state
from processor.engine.compose import Identity
from processor.engine.errors import Retry
from processor.engine.health import Board
from processor.engine.limits import Limits as EngineLimits
from processor.engine.machine import StateMachine
from processor.engine.parts import Parts
from processor.engine.ports import Encoder, EventDecoder, Ownership, Sink, Source, Store
from processor.engine.reports import Middleware
from processor.engine.shard import ShardRunner
from processor.engine.values import Role
from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient
from processor.etcd.compactor import Compactor
from processor.etcd.layout import Owner, ShardKeys
from processor.etcd.lease import InstanceLease
from processor.etcd.limits import check_limits
from processor.etcd.ownership import EtcdOwnership
from processor.etcd.store import EtcdStore
from processor.etcd.transaction import Limits as StoreLimits
from processor.kafka.connection import KafkaConnection, ShardTopics
from processor.kafka.embedded import PARTITIONS, EmbeddedKafka
from processor.kafka.idempotent import IdempotentSink
from processor.kafka.sink import KafkaSink
from processor.kafka.source import KafkaSource
from processor.memory.cluster import MemoryCluster
from processor.memory.ownership import MemoryOwnership
from processor.memory.store import MemoryStore
from processor.settings import Settings

TopicNames = Mapping[Role, str]
"""Role → topic name, all five."""


class Domain(msgspec.Struct, frozen=True):
    """A state machine with the codec of its events and entities."""

    machine: StateMachine[Any, Any]
    decoder: EventDecoder
    encoder: Encoder


class Ports(msgspec.Struct, frozen=True):
    """What one shard is run on."""

    store: Store
    source: Source
    sink: Sink
    ownership: Ownership


class Backend(Protocol):
    """A broker and a store."""

    def start(self) -> None:
        """Check what has to hold before any shard is run. Raises Retry, InvalidRequest."""
        ...

    def ports(self, shard: int) -> Ports:
        """Return the ports of one shard."""
        ...

    def pressure(self) -> str:
        """Return why commits should pause, empty when they need not."""
        ...

    def close(self) -> None:
        """Let everything go; after the shards have ended."""
        ...


def cluster_domain(settings: Settings, catalogue: Catalogue) -> Domain:
    """Return the cluster's state machine with its Avro codec."""
    machine = ClusterMachine()
    decoder = AvroEventDecoder(
        catalogue, parse_json_event, InvalidEvent, value_bytes_max=settings.dead_letters.value_bytes_max
    )
    return Domain(machine, decoder, AvroEncoder(catalogue, machine.entity_types))


def kafka_connection(settings: Settings) -> KafkaConnection:
    """Return how Kafka is reached."""
    properties = settings.kafka.properties()
    return KafkaConnection(settings.kafka.bootstrap_servers, extra=properties)


def etcd_client(settings: Settings) -> EtcdClient:
    """Return a client of etcd. Raises InvalidRequest when a certificate file cannot be read."""
    etcd = settings.etcd
    return EtcdClient(
        Access(
            endpoints=etcd.endpoints,
            ca=etcd.ca_file.read_bytes() if etcd.ca_file else None,
            certificate=etcd.cert_file.read_bytes() if etcd.cert_file else None,
            private_key=etcd.key_file.read_bytes() if etcd.key_file else None,
            username=etcd.username.get_secret_value() if etcd.username else None,
            password=etcd.password.get_secret_value() if etcd.password else None,
        )
    )


def shard_topics(topics: TopicNames, *, inputs: Sequence[int], output: int) -> ShardTopics:
    """Return the topics of a shard with its partitions."""
    return ShardTopics(
        high=topics["high"],
        normal=topics["normal"],
        changes=topics["changes"],
        commits=topics["commits"],
        dead_letters=topics["dead-letters"],
        input_partitions=tuple(inputs),
        output_partition=output,
    )


class ServerBackend:
    """Real Kafka and real etcd."""

    def __init__(self, settings: Settings, topics: TopicNames, clock: SystemClock) -> None:
        self._settings = settings
        self._topics = topics
        self._connection = kafka_connection(settings)
        self._client = etcd_client(settings)
        self._limits = StoreLimits(settings.etcd.txn_ops_max, settings.etcd.request_bytes_max)
        owner = Owner(settings.instance, socket.gethostname(), os.getpid(), clock.now_ms())
        root = f"{settings.etcd.prefix}/{settings.app}"
        self._lease = InstanceLease(self._client, root, owner, ttl_s=settings.shards.lease_ttl_s)
        self._compactor = Compactor(
            self._client, interval_s=settings.etcd.compact_interval_s, keep_s=settings.etcd.history_keep_s
        )

    def start(self) -> None:
        """Probe etcd's limits without writing, and begin compacting. Raises StoreUnavailable, InvalidRequest."""
        check_limits(self._client, self._limits)
        if self._settings.etcd.compact:
            self._compactor.start()

    def ports(self, shard: int) -> Ports:
        """Return the ports of one shard."""
        settings = self._settings
        keys = ShardKeys(settings.etcd.prefix, settings.app, shard)
        topics = shard_topics(self._topics, inputs=(shard,), output=shard)
        writer = f"{settings.app}-{shard}"
        transactional = settings.publish.mode == "transactional"
        make_sink = KafkaSink if transactional else IdempotentSink
        return Ports(
            store=EtcdStore(self._client, keys, limits=self._limits, materialise=settings.etcd.materialise),
            source=KafkaSource(self._connection, topics, f"{settings.app}-processor"),
            sink=make_sink(self._connection, topics, writer),
            ownership=EtcdOwnership(self._client, keys, self._lease),
        )

    def pressure(self) -> str:
        """Return that etcd is almost full, before its own alarm stops everything."""
        used, most = self._compactor.pressure(), self._settings.etcd.quota_pause_ratio
        return f"etcd's database is at {used:.0%} of its quota, above {most:.0%}" if used > most else ""

    def database_bytes(self) -> tuple[int, int] | None:
        """Return bytes in use and quota, as etcd said last."""
        status = self._compactor.status()
        return None if status is None else (status.size_in_use_bytes, status.quota_bytes)

    def close(self) -> None:
        """Stop compacting, end the lease, close the channel."""
        self._compactor.stop()
        self._lease.close()
        self._client.close()


class EmbeddedBackend:
    """librdkafka's mock cluster and a store in memory: one shard, gone with the process."""

    def __init__(self, settings: Settings, topics: TopicNames) -> None:
        self._settings = settings
        self._topics = topics
        self.kafka = EmbeddedKafka()
        self._cluster = MemoryCluster()

    def start(self) -> None:
        """Make the topics by using them."""
        self.kafka.use_topics(tuple(self._topics.values()))

    def ports(self, shard: int) -> Ports:
        """Return the ports of the one shard, which reads all partitions of the inputs and writes one."""
        connection = self.kafka.connection()
        topics = shard_topics(self._topics, inputs=PARTITIONS, output=0)
        return Ports(
            store=MemoryStore(self._cluster, shard),
            source=KafkaSource(connection, topics, f"{self._settings.app}-processor"),
            sink=KafkaSink(connection, topics, f"{self._settings.app}-{shard}"),
            ownership=MemoryOwnership(self._cluster, shard, self._settings.instance),
        )

    def pressure(self) -> str:
        """Return nothing: memory has no quota."""
        return ""

    def close(self) -> None:
        """End the mock cluster."""
        self.kafka.close()


def engine_limits(settings: Settings) -> EngineLimits:
    """Return the engine's limits as the settings have them."""
    return EngineLimits(
        batch_events_max=settings.batch.events_max,
        normal_slice_ms=settings.batch.normal_slice_ms,
        idle_commit_interval_ms=settings.batch.idle_commit_interval_ms,
        ranges_max=settings.batch.ranges_max,
        normal_share=settings.lanes.normal_share,
        high_batches_max=settings.lanes.high_batches_max,
        normal_wait_max_ms=settings.lanes.normal_wait_max_ms,
        conflict_retries_max=settings.etcd.conflict_retries_max,
        pending_commits_max=settings.publish.pending_commits_max,
        pending_bytes_max=settings.publish.pending_bytes_max,
        dead_letters_max_ratio=settings.dead_letters.max_ratio,
        dead_letters_max_consecutive=settings.dead_letters.max_consecutive,
        crash_attempts_max=settings.dead_letters.crash_attempts_max,
    )


class Service:
    """Runs every shard of the settings on one backend until `stop` is set.

    `boards` may be read from any thread, as may the states that they show.
    """

    def __init__(  # noqa: PLR0913 - assembly is where everything comes together
        self,
        settings: Settings,
        backend: Backend,
        domain: Domain,
        *,
        stop: threading.Event,
        middleware: tuple[Middleware, ...] = (),
        log: Callable[..., None] = lambda _event, **_fields: None,
        once: bool = False,
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._domain = domain
        self._stop = stop
        self._clock = SystemClock(stop)
        self._middleware = middleware
        self._log = log
        self._once = once
        self.boards = tuple(Board(shard) for shard in range(len(settings.clusters)))

    def run(self) -> None:
        """Process until stopped, then hand everything over. Raises InvalidRequest for settings that cannot work."""
        self._start_backend()
        try:
            if len(self.boards) == 1:
                self._run_shard(self.boards[0])
            else:
                self._run_shards()
        finally:
            self._backend.close()

    def _start_backend(self) -> None:
        limits = engine_limits(self._settings)
        pause_ms = limits.retry_pause_ms
        while not self._stop.is_set():
            try:
                self._backend.start()
            except Retry as error:
                for board in self.boards:
                    if board.health.reason != str(error):
                        self._log("waiting", shard=board.health.shard, reason=str(error))
                    board.put(reason=str(error))
                self._clock.sleep(pause_ms / 1000)
                pause_ms = min(2 * pause_ms, limits.retry_pause_max_ms)
            else:
                break
        for board in self.boards:
            board.put(reason="")

    def _run_shards(self) -> None:
        threads = [
            threading.Thread(target=self._run_shard, args=(board,), name=f"shard-{board.health.shard}")
            for board in self.boards
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run_shard(self, board: Board) -> None:
        ports = self._backend.ports(board.health.shard)
        try:
            parts = self._parts(board.health.shard, ports)
            ShardRunner(parts, board=board, stopping=self._stop.is_set, once=self._once).run()
        finally:
            ports.source.close()
            ports.sink.close()

    def _parts(self, shard: int, ports: Ports) -> Parts:
        settings, cluster = self._settings, self._settings.clusters[shard]
        return Parts(
            machine=self._domain.machine,
            decoder=self._domain.decoder,
            encoder=self._domain.encoder,
            store=ports.store,
            source=ports.source,
            sink=ports.sink,
            ownership=ports.ownership,
            clock=self._clock,
            identity=Identity(settings.app, shard, cluster, self._domain.machine.version),
            limits=engine_limits(settings),
            middleware=self._middleware,
            start=settings.start,
            cluster_key=cluster.encode() if len(settings.clusters) > 1 else None,
            speculate=True,
            announce_in_background=True,
            loaded=spare_the_state,
            pressure=self._backend.pressure,
            log=self._log,
        )
