"""One shard's past on real servers: its topics, its periodic snapshots, and what the store still has of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Protocol

from processor.assembly.connections import kafka_connection, shard_topics
from processor.assembly.engine import cluster_domain
from processor.avro.catalogue import Catalogue
from processor.client.codec import RecordDecoder
from processor.cluster.machine import ClusterMachine
from processor.configuration.settings import Settings
from processor.engine.announcements import Role
from processor.engine.errors import InvalidRequest, Retry, ShardRefused, StoreUnavailable
from processor.etcd.client import EtcdClient
from processor.etcd.layout import ShardKeys
from processor.etcd.past import EtcdHeads
from processor.history.commit_log import CommitLog, Log, seq_at
from processor.history.points import Past
from processor.history.stored import StoredStates
from processor.kafka.connection import KafkaConnection
from processor.kafka.reader import RecordReader
from processor.kafka.source import KafkaSource
from processor.replay.fold import Build
from processor.replay.replaying import Replayed, Start
from processor.replay.snapshots import Snapshot, SnapshotDirectory, snapshot_of
from processor.replay.sources import LogDecoder, Sources, check_inputs
from processor.runtime.clock import now_ms

PUBLISHED_WAIT_S = 10.0
PUBLISHED_PAUSE_S = 0.2
FACTS_TIMEOUT_S = 10.0


class Environment(Protocol):
    """What a shard's past is read with. Each part connects when it is first used, and raises Retry while it is away."""

    @property
    def settings(self) -> Settings:
        """The settings; with a `server`, the store is out of reach."""

    @property
    def topics(self) -> Mapping[Role, str]:
        """Role → topic name."""

    @property
    def catalogue(self) -> Catalogue:
        """All schemas."""

    @property
    def connection(self) -> KafkaConnection:
        """How the brokers are reached."""

    def store(self) -> AbstractContextManager[EtcdClient]:
        """Open a client of etcd."""


class ShardPast:
    """One shard's past. `note` receives sentences about snapshots that were passed over."""

    def __init__(self, environment: Environment, shard: int, note: Callable[[str], None]) -> None:
        self.environment = environment
        self.shard = shard
        self.build = cluster_build(environment.settings, environment.catalogue)
        self.keys = ShardKeys(environment.settings.etcd.prefix, environment.settings.app, shard)
        self._note = note

    @property
    def snapshots(self) -> SnapshotDirectory:
        """The shard's periodic snapshots."""
        return snapshot_directory(self.environment.settings, self.shard, self._note)

    @cached_property
    def sources(self) -> Sources:
        """The shard's topics."""
        outside = self.environment
        return cluster_sources(outside.connection, outside.topics, outside.catalogue, shard=self.shard)

    @contextmanager
    def commit_log(self) -> Iterator[CommitLog]:
        """Open the shard's part of the commit log."""
        decode = RecordDecoder(self.environment.catalogue)
        with self.sources.open(self.sources.topics["commits"], self.shard) as log:
            yield CommitLog(log, self.shard, lambda record: decode(record).value)

    @contextmanager
    def stored_states(self) -> Iterator[StoredStates]:
        """Open the states that the store still has. Raises StoreUnavailable where a processor's API replaces it."""
        if self.environment.settings.server is not None:
            raise StoreUnavailable("a processor's API has only the present state")
        with self.environment.store() as client:
            yield self.states_in(client)

    def states_in(self, client: EtcdClient) -> StoredStates:
        """Return the states that the store still has."""
        return StoredStates(client, self.keys, machine=self.build.machine, encoder=self.build.encoder)

    def seq_at(self, point: Past | None) -> int:
        """Return the commit that a point stands for; None: the last one, 0 where there is none."""
        with self.commit_log() as log:
            if point is not None:
                return seq_at(log, point)
            return log.last().seq if log.holds(0) else 0

    def start_before(self, seq: int) -> Start:
        """Return the nearest place before a commit where a fold can begin.

        A periodic snapshot of the commit before, else that state from the store's history, else an older snapshot.
        """
        wanted = seq - 1
        kept = self.snapshots.nearest(wanted, self.build)
        if kept.seq == wanted:
            return kept
        try:
            with self.environment.store() as client:
                found = self.states_in(client).of_commit(wanted)
        except (InvalidRequest, ShardRefused, StoreUnavailable):
            return kept
        if found is None or found.digest != found.head.digest:
            return kept
        return Start(found.head, found.state, f"the store's history, seq {wanted}")

    def snapshot_of(self, replayed: Replayed) -> Snapshot:
        """Return a folded state as a snapshot of this shard."""
        settings, shard = self.environment.settings, self.shard
        return snapshot_of(
            replayed,
            self.build,
            app=settings.app,
            shard=shard,
            cluster=settings.clusters[shard],
            now_ms=now_ms(),
        )

    def check_inputs(self, start: Start) -> None:
        """Raise TopicReplaced when an input is not the topic that the state was built on, as far as that is known."""
        if self.environment.connection.embedded:
            return
        known = start.head.topics if start.head else {}
        try:
            if not known:
                with self.environment.store() as client:
                    newest = EtcdHeads(client, self.keys).newest()
                known = newest.head.topics if newest else {}
            found = self._topic_ids()
        except Retry:
            return
        check_inputs(self.environment.topics, known, found)

    def await_published(self, seq: int) -> None:
        """Wait up to PUBLISHED_WAIT_S until a commit is in the commit log. Raises InvalidRequest when it is not."""
        deadline_s = time.monotonic() + PUBLISHED_WAIT_S
        with self.commit_log() as log:
            while seq and not log.holds(seq):
                if time.monotonic() > deadline_s:
                    raise InvalidRequest(f"commit {seq} is not published yet: let a processor run, it does that first")
                time.sleep(PUBLISHED_PAUSE_S)

    def _topic_ids(self) -> Mapping[str, str]:
        outside = self.environment
        topics = shard_topics(outside.topics, inputs=(self.shard,), output=self.shard)
        connection, group = kafka_connection(outside.settings), f"{outside.settings.app}-tools"
        source = KafkaSource(connection, topics, group, facts_timeout_s=FACTS_TIMEOUT_S)
        try:
            return source.facts().topic_ids
        finally:
            source.close()


def cluster_build(settings: Settings, catalogue: Catalogue) -> Build:
    """Return this build's state machine with its codec."""
    domain = cluster_domain(settings, catalogue)
    return Build(domain.machine, domain.decoder, domain.encoder)


def snapshot_directory(settings: Settings, shard: int, note: Callable[[str], None]) -> SnapshotDirectory:
    """Return one shard's periodic snapshots, where the settings have them."""
    return SnapshotDirectory(
        settings.snapshots.directory, app=settings.app, shard=shard, cluster=settings.clusters[shard], note=note
    )


def cluster_sources(
    connection: KafkaConnection, topics: Mapping[Role, str], catalogue: Catalogue, *, shard: int
) -> Sources:
    """Return one shard's topics, decoded by the cluster's schemas."""
    return shard_sources(connection, topics, LogDecoder(catalogue, ClusterMachine.entity_types), shard=shard)


def shard_sources(
    connection: KafkaConnection, topics: Mapping[Role, str], decoder: LogDecoder, *, shard: int
) -> Sources:
    """Return one shard's topics; each partition that is opened has a consumer of its own."""

    @contextmanager
    def opened(topic: str, partition: int) -> Iterator[Log]:
        with RecordReader(connection, topic, (partition,)) as reader:
            yield reader

    return Sources(shard, topics, opened, decoder.commit, decoder.image)
