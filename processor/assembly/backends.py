"""Brokers and stores: real servers, or all embedded in this process. A backend provides the ports of each shard."""

import os
import socket
from collections.abc import Callable, Mapping
from math import inf
from typing import Protocol

import msgspec

from processor.assembly.connections import etcd_client, group_of, kafka_connection, shard_sink, shard_topics
from processor.configuration.settings import Settings
from processor.configuration.topics import TopicNames
from processor.engine.failpoints import Failpoint, never
from processor.engine.inputs import Headers
from processor.engine.ports import Membership, Ownership, Sink, Source, Store, Ticker
from processor.etcd.compactor import WITHOUT, Compactor
from processor.etcd.layout import Owner, ShardKeys, unique_id
from processor.etcd.lease import InstanceLease
from processor.etcd.limits import Limits as StoreLimits
from processor.etcd.limits import check_limits
from processor.etcd.membership import EtcdMembership
from processor.etcd.ownership import EtcdOwnership
from processor.etcd.store import EtcdStore
from processor.kafka.broker_probe import BrokerProbe
from processor.kafka.describer import TopicDescriber
from processor.kafka.embedded import PARTITIONS, EmbeddedKafka
from processor.kafka.output import SinkTimeouts
from processor.kafka.partitions import check_partitions, partition_counts
from processor.kafka.sink import KafkaSink
from processor.kafka.source import KafkaSource
from processor.kafka.ticker import KafkaTicker
from processor.memory.cluster import MemoryCluster
from processor.memory.ownership import MemoryMembership, MemoryOwnership
from processor.memory.store import MemoryStore
from processor.runtime.clock import SystemClock


class Ports(msgspec.Struct, frozen=True):
    """The ports that one shard runs on.

    `trouble` says why its inputs cannot be read, "" if they can. `lag` returns (topic, partition) → waiting records
    while the shard is owned. Both are safe from any thread.
    """

    store: Store
    source: Source
    sink: Sink
    ownership: Ownership
    trouble: Callable[[], str] = lambda: ""
    lag: Callable[[], Mapping[tuple[str, int], int]] = dict


class Backend(Protocol):
    """A broker and a store."""

    def start(self) -> None:
        """Check what must hold before any shard runs. Raises Retry, InvalidRequest."""
        ...

    def membership(self) -> Membership:
        """Return this process's membership among those that share the shards."""
        ...

    def ports(self, shard: int) -> Ports:
        """Return the ports of one shard, which are idle until the shard is owned."""
        ...

    def ticker(self, shard: int, *, key: bytes, value: bytes, headers: Headers) -> Ticker:
        """Return a ticker that sends this event to the shard's partition of the normal topic."""
        ...

    def pressure(self) -> str:
        """Return why commits should pause, "" when they need not."""
        ...

    def silent_s(self) -> float:
        """Return for how many seconds the brokers have not answered, 0 when they do; never blocks."""
        ...

    def give_up(self) -> None:
        """Release what is owned here at once, whatever this process still waits for. Safe from any thread."""
        ...

    def close(self) -> None:
        """Close everything, after the shards have ended."""
        ...


class ServerBackend:
    """Real Kafka and real etcd."""

    def __init__(
        self, settings: Settings, topics: TopicNames, clock: SystemClock, failpoint: Failpoint = never
    ) -> None:
        self._settings = settings
        self._failpoint = failpoint
        self._topics = topics
        self._connection = kafka_connection(settings)
        self._client = etcd_client(settings, left_s=clock.left_s)
        self._timeouts = SinkTimeouts(stopping=lambda: clock.left_s() < inf)
        self._limits = StoreLimits(settings.etcd.txn_ops_max, settings.etcd.request_bytes_max)
        name = settings.instance
        owner = Owner(name, socket.gethostname(), os.getpid(), clock.now_ms(), unique_id(name))
        root = f"{settings.etcd.prefix}/{settings.app}"
        self._lease = InstanceLease(self._client, root, owner, ttl_s=settings.shards.lease_ttl_s)
        self._tickers: dict[int, KafkaTicker] = {}
        self._describer = TopicDescriber(self._connection)
        self._probe = BrokerProbe(self._describer, tuple(topics.values()))
        self._compactor = Compactor(
            self._client,
            enabled=settings.etcd.compact,
            interval_s=settings.etcd.compact_interval_s,
            keep_s=settings.etcd.history_keep_s,
        )

    def start(self) -> None:
        """Probe etcd's limits without writing, count the topics' partitions, and start to watch etcd's size.

        Raises Retry (also while Kafka does not answer: a process that cannot run a shard must not own one),
        InvalidRequest.
        """
        check_limits(self._client, self._limits)
        check_partitions(partition_counts(self._describer, tuple(self._topics.values())), self._settings.clusters)
        self._compactor.start()

    def membership(self) -> Membership:
        """Return this process's membership among those that share the shards."""
        etcd, app, shards = self._settings.etcd, self._settings.app, len(self._settings.clusters)
        return EtcdMembership(self._client, etcd.prefix, app, self._lease, shards=shards)

    def ports(self, shard: int) -> Ports:
        """Return the ports of one shard."""
        settings = self._settings
        keys = ShardKeys(settings.etcd.prefix, settings.app, shard)
        topics = shard_topics(self._topics, inputs=(shard,), output=shard, ticked=settings.clock.enabled)
        source = KafkaSource(self._connection, topics, group_of(settings), describer=self._describer)
        return Ports(
            store=EtcdStore(
                self._client,
                keys,
                limits=self._limits,
                materialise=settings.etcd.materialise,
                failpoint=self._failpoint,
            ),
            source=source,
            sink=shard_sink(settings, self._connection, topics, self._timeouts, self._failpoint, self._describer),
            ownership=EtcdOwnership(self._client, keys, self._lease),
            lag=source.lag,
            trouble=lambda: self._trouble(shard, source),
        )

    def ticker(self, shard: int, *, key: bytes, value: bytes, headers: Headers) -> Ticker:
        """Return a ticker that sends this event to the shard's partition of the normal topic."""
        ticker = KafkaTicker(self._connection, self._topics["normal"], shard, key=key, value=value, headers=headers)
        self._tickers[shard] = ticker
        return ticker

    def ticks_failed(self) -> int:
        """Return how many ticks could not be written. Safe from any thread."""
        return sum(ticker.failed_count for ticker in list(self._tickers.values()))

    def _trouble(self, shard: int, source: KafkaSource) -> str:
        ticker = self._tickers.get(shard)
        inputs = f"inputs: Kafka: {source.trouble}" if source.trouble else ""
        return "; ".join(filter(None, (inputs, ticker.trouble if ticker else "")))

    def pressure(self) -> str:
        """Return that etcd is almost full, before its own alarm stops all writes."""
        used, most = self._compactor.pressure(), self._settings.etcd.quota_pause_ratio
        return f"etcd's database is at {used:.0%} of its quota, above {most:.0%}" if used > most else ""

    def silent_s(self) -> float:
        """Return for how many seconds the brokers have not answered, as far as it is known."""
        return self._probe.silent_s()

    def database_bytes(self) -> tuple[int, int] | None:
        """Return (bytes in use, quota in bytes) of etcd's last answer, None before it."""
        status = self._compactor.status()
        return None if status is None else (status.size_in_use_bytes, status.quota_bytes)

    def give_up(self) -> None:
        """Revoke the lease, to which everything that is owned here is attached."""
        self._lease.close()

    def etcd_denied(self) -> Mapping[str, bool]:
        """Return call → whether etcd denies it, for calls that need more than rights on our keys."""
        denied = self._compactor.denied()
        return {call: call in denied for call in WITHOUT}

    def close(self) -> None:
        """Stop compacting, revoke the lease, close the channel."""
        self._compactor.stop()
        self._probe.close()
        self._describer.close()
        self._lease.close()
        self._client.close()


class EmbeddedBackend:
    """librdkafka's mock cluster and a store in memory: one shard, which ends with the process."""

    def __init__(self, settings: Settings, topics: TopicNames, failpoint: Failpoint = never) -> None:
        self._settings = settings
        self._topics = topics
        self._failpoint = failpoint
        self.kafka = EmbeddedKafka()
        self._cluster = MemoryCluster()

    def start(self) -> None:
        """Create the topics, which the mock cluster does on first use."""
        self.kafka.use_topics(tuple(self._topics.values()))

    def membership(self) -> Membership:
        """Return this process's membership; it is the only one."""
        return MemoryMembership(self._cluster, self._settings.instance, shards=len(self._settings.clusters))

    def ports(self, shard: int) -> Ports:
        """Return the ports of the one shard, which reads all partitions of the inputs and writes one."""
        connection = self.kafka.connection()
        topics = shard_topics(self._topics, inputs=PARTITIONS, output=0)
        source = KafkaSource(connection, topics, group_of(self._settings))
        return Ports(
            store=MemoryStore(self._cluster, shard),
            source=source,
            lag=source.lag,
            sink=KafkaSink(connection, topics, f"{self._settings.app}-{shard}", failpoint=self._failpoint),
            ownership=MemoryOwnership(self._cluster, shard, self._settings.instance),
        )

    def ticker(self, shard: int, *, key: bytes, value: bytes, headers: Headers) -> Ticker:
        """Return a ticker that sends this event to the first partition that the shard reads."""
        connection = self.kafka.connection()
        return KafkaTicker(connection, self._topics["normal"], shard, key=key, value=value, headers=headers)

    def pressure(self) -> str:
        """Return "": memory has no quota."""
        return ""

    def silent_s(self) -> float:
        """Return 0: the brokers end with the process."""
        return 0.0

    def give_up(self) -> None:
        """Do nothing: there are no other processes."""

    def close(self) -> None:
        """End the mock cluster."""
        self.kafka.close()
