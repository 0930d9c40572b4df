"""Between snapshots and the store: what is read from it, and what is put into an empty one."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from processor.assembly.connections import etcd_client
from processor.configuration.settings import Settings
from processor.etcd.client import EtcdClient
from processor.etcd.layout import ShardKeys
from processor.etcd.snapshot import read_shard
from processor.replay.keeping import SnapshotWriter
from processor.replay.snapshot import Snapshot


def shard_keys(settings: Settings, shard: int) -> ShardKeys:
    """Return where a shard stands."""
    return ShardKeys(settings.etcd.prefix, settings.app, shard)


def stored_snapshot(client: EtcdClient, settings: Settings, shard: int) -> Snapshot | None:
    """Return a shard as the store has it, None before its first commit. Raises StoreUnavailable, ShardRefused."""
    stored = read_shard(client, shard_keys(settings, shard)).snapshot
    if stored.head is None:
        return None
    now_ms = time.time_ns() // 1_000_000
    return Snapshot(settings.app, shard, settings.clusters[shard], now_ms, stored.head, stored.entities)


@contextmanager
def snapshots_kept(
    settings: Settings, owned: Callable[[], Mapping[int, int]], log: Callable[..., None], *, embedded: bool
) -> Iterator[None]:
    """Write periodic snapshots while the body runs, where the settings want them; an embedded store has none."""
    wanted = settings.snapshots
    if wanted.directory is None or embedded:
        yield
        return
    client = etcd_client(settings)
    keeper = SnapshotWriter(
        wanted.directory,
        interval_s=wanted.interval_s,
        keep_count=wanted.keep_count,
        owned=owned,
        read=lambda shard: stored_snapshot(client, settings, shard),
        log=log,
    )
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()
        client.close()
