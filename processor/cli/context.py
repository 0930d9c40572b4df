"""What commands share: settings, topic names, schemas, and connections to the brokers and the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from processor.admin.session import offline_parts
from processor.assembly.connections import kafka_connection, store_client
from processor.avro.catalogue import Catalogue
from processor.cli.exits import usage
from processor.cli.options import settings_of
from processor.client.codec import RecordDecoder, partition_of
from processor.configuration.topics import topic_names
from processor.engine.announcements import Role
from processor.engine.errors import StoreDenied, StoreUnavailable
from processor.engine.parts import Parts
from processor.etcd.client import EtcdClient
from processor.kafka.connection import KafkaConnection
from processor.kafka.describer import TopicDescriber
from processor.kafka.partitions import check_partitions, partition_counts
from processor.kafka.reader import RecordReader
from processor.kafka.recognition import recognised
from processor.runtime.logs import set_up

NO_ADDRESS = "Kafka's address is not set: PROCESSOR_KAFKA__BOOTSTRAP_SERVERS, the brokers that this processor works on"


class CommandContext:
    """Built from the settings; connects on first use. Everything raises Retry if a service is unavailable."""

    def __init__(self, config: Path | None, **flags: object) -> None:
        self._may_ask = "server" in flags
        loaded = settings_of(config, **flags)
        self.settings, self.origins = loaded.settings, loaded.origins
        set_up(self.settings.log.format, self.settings.log.level)

    @property
    def knows_brokers(self) -> bool:
        """Whether the brokers' address is known: commands with --server do not use the default."""
        return not self._may_ask or self.settings.server is None or self.origins["kafka.bootstrap_servers"] != "default"

    @cached_property
    def connection(self) -> KafkaConnection:
        """The connection to the brokers, which answered and have a partition for each cluster.

        Raises CommandError (no address), InvalidRequest.
        """
        if not self.knows_brokers:
            raise usage(NO_ADDRESS)
        connection = recognised(kafka_connection(self.settings))
        if len(self.settings.clusters) > 1 and not connection.embedded:
            # otherwise a missing partition would be a raw error of the first call that needs it
            with TopicDescriber(connection) as describer:
                check_partitions(partition_counts(describer, tuple(self.topics.values())), self.settings.clusters)
        return connection

    @cached_property
    def topics(self) -> dict[Role, str]:
        """Role → topic name."""
        return dict(topic_names(self.settings))

    @cached_property
    def catalogue(self) -> Catalogue:
        """All schemas."""
        return Catalogue.load(self.settings.schemas_dir)

    @cached_property
    def decode(self) -> RecordDecoder:
        """The decoder of records of any topic."""
        return RecordDecoder(self.catalogue)

    def partition_of(self, cluster: str | None) -> int:
        """Return the partition of a cluster; the name may be left out if there is only one. Raises CommandError."""
        if cluster is None and len(self.settings.clusters) > 1:
            raise usage(f"which cluster? --cluster with one of {', '.join(self.settings.clusters)}")
        return partition_of(self.settings.clusters, cluster)

    def topic_named(self, word: str) -> str:
        """Return the name of a topic given by name or role. Raises CommandError."""
        names: dict[Any, str] = dict(self.topics)
        if word in names:
            return names[word]
        if word in names.values():
            return word
        listed = ", ".join(f"{role} ({name})" for role, name in names.items())
        raise usage(f"there is no topic {word!r}; by role or name there are {listed}")

    def record_named(self, id_: str) -> str:
        """Return a record id, TOPIC-PARTITION-OFFSET, with a topic given by role replaced by its name."""
        word, *place = id_.rsplit("-", 2)
        names: dict[Any, str] = dict(self.topics)
        return "-".join((names.get(word, word), *place))

    @contextmanager
    def reader(self, topic: str, partitions: tuple[int, ...] | None = None) -> Iterator[RecordReader]:
        """Open a reader of a topic, all partitions unless named."""
        with RecordReader(self.connection, topic, partitions) as reader:
            yield reader

    @contextmanager
    def store(self) -> Iterator[EtcdClient]:
        """Open a client of etcd; the error of an unavailable one hints at --server."""
        with self._hinted(), store_client(self.settings) as client:
            yield client

    @contextmanager
    def offline(self, shard: int, *, brokers: bool = True) -> Iterator[Parts]:
        """Open the parts of a shard to change while nobody owns it; with `brokers` False, no topic is opened."""
        with self._hinted(), offline_parts(self.settings, shard, self.topics if brokers else None) as parts:
            yield parts

    @contextmanager
    def _hinted(self) -> Iterator[None]:
        try:
            yield
        except StoreDenied:
            raise  # etcd is available
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{error}; {self._store_hint()}") from error

    def _store_hint(self) -> str:
        """Return a hint for an unavailable etcd; embedded processors are mentioned only if no etcd is set."""
        server_hint = "ask a running processor with --server URL" if self._may_ask else ""
        if self.origins["etcd.endpoints"] != "default":
            return "; ".join(filter(None, ("see PROCESSOR_ETCD__ENDPOINTS", server_hint)))
        embedded = "an embedded processor (dev, run --embedded) has no etcd"
        return "; ".join(filter(None, ("PROCESSOR_ETCD__ENDPOINTS is not set", embedded, server_hint)))
