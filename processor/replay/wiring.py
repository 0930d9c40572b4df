"""The cluster's past on real topics: what a replay of one shard is made of."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from processor.assembly.engine import cluster_domain
from processor.avro.catalogue import Catalogue
from processor.cluster.machine import ClusterMachine
from processor.configuration.settings import Settings
from processor.engine.announcements import Role
from processor.history.commit_log import Log
from processor.kafka.connection import KafkaConnection
from processor.kafka.reader import RecordReader
from processor.replay.fold import Build
from processor.replay.nearest import SnapshotDirectory
from processor.replay.sources import LogDecoder, Sources


def cluster_build(settings: Settings, catalogue: Catalogue) -> Build:
    """Return this build's state machine with its codec."""
    domain = cluster_domain(settings, catalogue)
    return Build(domain.machine, domain.decoder, domain.encoder)


def shelf_of(settings: Settings, shard: int, note: Callable[[str], None]) -> SnapshotDirectory:
    """Return one shard's periodic snapshots, where the settings have them."""
    return SnapshotDirectory(
        settings.snapshots.directory, app=settings.app, shard=shard, cluster=settings.clusters[shard], note=note
    )


def cluster_sources(
    connection: KafkaConnection, topics: Mapping[Role, str], catalogue: Catalogue, *, shard: int
) -> Sources:
    """Return one shard's topics, understood by the cluster's schemas."""
    return shard_sources(connection, topics, LogDecoder(catalogue, ClusterMachine.entity_types), shard=shard)


def shard_sources(
    connection: KafkaConnection, topics: Mapping[Role, str], understanding: LogDecoder, *, shard: int
) -> Sources:
    """Return one shard's topics; each partition that is opened has a consumer of its own."""

    @contextmanager
    def opened(topic: str, partition: int) -> Iterator[Log]:
        with RecordReader(connection, topic, (partition,)) as reader:
            yield reader

    return Sources(shard, topics, opened, understanding.commit, understanding.image)
