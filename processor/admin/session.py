"""The engine's parts of one shard for an operator's command, which writes under an epoch of its own.

A command owns the shard like a processor, through a lease of its own, and is refused while another owns it. Its
instance is not listed among those that share the shards, so that none is assigned to it.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from processor.assembly.connections import group_of, kafka_connection, shard_sink, shard_topics, store_client
from processor.assembly.engine import cluster_domain, engine_limits
from processor.avro.catalogue import Catalogue
from processor.configuration.settings import Settings
from processor.configuration.topics import TopicNames
from processor.engine.parts import Callbacks, Parts
from processor.engine.ports import Sink, Source
from processor.engine.values import Identity
from processor.etcd.layout import Owner, ShardKeys
from processor.etcd.lease import InstanceLease
from processor.etcd.limits import Limits as StoreLimits
from processor.etcd.ownership import EtcdOwnership
from processor.etcd.store import EtcdStore
from processor.kafka.output import SinkTimeouts
from processor.kafka.source import KafkaSource
from processor.memory.broker import MemoryBroker
from processor.memory.sink import MemorySink
from processor.memory.source import MemorySource
from processor.runtime.clock import SystemClock
from processor.runtime.failpoints import armed
from processor.runtime.logs import warning_function

TIMEOUTS = SinkTimeouts(tails_s=5.0)
"""A transaction of another producer that stays open longer is reported to the operator, who can try again."""


@contextmanager
def offline_parts(settings: Settings, shard: int, topics: TopicNames | None = None) -> Iterator[Parts]:
    """Open the parts of one shard; without `topics` its inputs and outputs are empty and no broker is asked.

    Raises StoreUnavailable, InvalidRequest.
    """
    clock = SystemClock(threading.Event())
    domain = cluster_domain(settings, Catalogue.load(settings.schemas_dir))
    keys = ShardKeys(settings.etcd.prefix, settings.app, shard)
    limits = StoreLimits(settings.etcd.txn_ops_max, settings.etcd.request_bytes_max)
    source, sink = _ends(settings, shard, topics)
    failpoint = armed(settings.failpoints, warning_function())
    instance = f"{settings.instance}-tools"
    owner = Owner(instance, socket.gethostname(), os.getpid(), clock.now_ms())
    with store_client(settings) as client:
        root = f"{settings.etcd.prefix}/{settings.app}"
        lease = InstanceLease(client, root, owner, ttl_s=settings.shards.lease_ttl_s, listed=False)
        try:
            yield Parts(
                machine=domain.machine,
                decoder=domain.decoder,
                encoder=domain.encoder,
                store=EtcdStore(
                    client, keys, limits=limits, materialise=settings.etcd.materialise, failpoint=failpoint
                ),
                source=source,
                sink=sink,
                ownership=EtcdOwnership(client, keys, lease),
                clock=clock,
                identity=Identity(settings.app, shard, settings.clusters[shard], domain.machine.version),
                limits=engine_limits(settings),
                callbacks=Callbacks(failpoint=failpoint),
            )
        finally:
            source.close()
            sink.close()
            lease.close()


def operator() -> str:
    """Return who runs the command, `user@host`, for the audit log."""
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _ends(settings: Settings, shard: int, topics: TopicNames | None) -> tuple[Source, Sink]:
    if topics is None:
        nowhere = MemoryBroker()
        return MemorySource(nowhere, {}, ()), MemorySink(nowhere, {}, shard, "nowhere")
    connection, mine = kafka_connection(settings), shard_topics(topics, inputs=(shard,), output=shard)
    return KafkaSource(connection, mine, group_of(settings)), shard_sink(settings, connection, mine, TIMEOUTS)
