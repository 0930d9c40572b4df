"""What commands reach the outside with: the brokers, the topics' names, the schemas, the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processor.cli.exits import usage
from processor.cli.options import settings_of

if TYPE_CHECKING:
    from processor.avro.catalogue import Catalogue
    from processor.clients import RecordDecoder
    from processor.engine.values import Role
    from processor.etcd.client import EtcdClient
    from processor.kafka.connection import KafkaConnection
    from processor.kafka.reader import RecordReader


NO_ADDRESS = "Kafka's address is not set: PROCESSOR_KAFKA__BOOTSTRAP_SERVERS, the brokers that this processor works on"


class Reach:
    """Made from the settings; connects when first used. Everything raises Retry where a service is away."""

    def __init__(self, config: Path | None, **flags: object) -> None:
        from processor.logs import set_up

        loaded = settings_of(config, **flags)
        self.settings, self.origins = loaded.settings, loaded.origins
        set_up(self.settings.log.format, self.settings.log.level)

    @property
    def knows_brokers(self) -> bool:
        """Whether it is known where the brokers are: for a processor that is asked over HTTP it has to be said."""
        return self.settings.server is None or self.origins["kafka.bootstrap_servers"] != "default"

    @cached_property
    def connection(self) -> "KafkaConnection":
        """How the brokers are reached; they answered."""
        from processor.backends import kafka_connection
        from processor.kafka.recognition import recognised

        return recognised(kafka_connection(self.settings))

    @cached_property
    def topics(self) -> "dict[Role, str]":
        """Role → topic name."""
        from processor.topics import load_topics

        return {role: topic.name for role, topic in load_topics(self.settings.topics_file).by_role.items()}

    @cached_property
    def catalogue(self) -> "Catalogue":
        """All schemas."""
        from processor.avro.catalogue import Catalogue

        return Catalogue.load(self.settings.schemas_dir)

    @cached_property
    def decode(self) -> "RecordDecoder":
        """Decodes records of any topic."""
        from processor.clients import RecordDecoder

        return RecordDecoder(self.catalogue)

    def partition_of(self, cluster: str | None) -> int:
        """Return the partition of a cluster; without a name there must be only one. Raises InvalidRequest."""
        from processor.clients import partition_of

        return partition_of(self.settings.clusters, cluster)

    def topic_named(self, word: str) -> str:
        """Return the name of a topic given by its name or by its role."""
        names: dict[Any, str] = dict(self.topics)
        if word in names:
            return names[word]
        if word in names.values():
            return word
        raise usage(f"there is no topic {word!r}: {', '.join(names)}")

    @contextmanager
    def reader(self, topic: str, partitions: tuple[int, ...] | None = None) -> "Iterator[RecordReader]":
        """Open a reader of a topic, all partitions unless named."""
        from processor.kafka.reader import RecordReader

        with RecordReader(self.connection, topic, partitions) as reader:
            yield reader

    @contextmanager
    def store(self) -> "Iterator[EtcdClient]":
        """Open a client of etcd; when it is away, say how to ask a processor instead."""
        from processor.engine.errors import StoreUnavailable
        from processor.inspection import store_client

        try:
            with store_client(self.settings) as client:
                yield client
        except StoreUnavailable as error:
            hint = "an embedded processor has no etcd: ask it with --server URL (dev and run take --http)"
            raise StoreUnavailable(f"{error}; {hint}") from error
