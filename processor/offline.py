"""Parts of a shard for tools that write under an epoch of their own: no inputs, no outputs."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from processor.assembly import cluster_domain, engine_limits
from processor.avro.catalogue import Catalogue
from processor.clock import SystemClock
from processor.engine.compose import Identity
from processor.engine.parts import Parts
from processor.etcd.layout import Owner, ShardKeys
from processor.etcd.lease import InstanceLease
from processor.etcd.ownership import EtcdOwnership
from processor.etcd.store import EtcdStore
from processor.etcd.transaction import Limits as StoreLimits
from processor.inspection import store_client
from processor.memory.broker import MemoryBroker
from processor.memory.sink import MemorySink
from processor.memory.source import MemorySource
from processor.settings import Settings


@contextmanager
def offline_parts(settings: Settings, shard: int) -> Iterator[Parts]:
    """Open the parts of one shard. Raises StoreUnavailable, InvalidRequest."""
    clock = SystemClock(threading.Event())
    domain = cluster_domain(settings, Catalogue.load(settings.schemas_dir))
    keys = ShardKeys(settings.etcd.prefix, settings.app, shard)
    limits = StoreLimits(settings.etcd.txn_ops_max, settings.etcd.request_bytes_max)
    nowhere = MemoryBroker(clock.now_ms)
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
                store=EtcdStore(client, keys, limits=limits, materialise=settings.etcd.materialise),
                source=MemorySource(nowhere, {}, ()),
                sink=MemorySink(nowhere, {}, shard, instance),
                ownership=EtcdOwnership(client, keys, lease),
                clock=clock,
                identity=Identity(settings.app, shard, settings.clusters[shard], domain.machine.version),
                limits=engine_limits(settings),
            )
        finally:
            lease.close()
