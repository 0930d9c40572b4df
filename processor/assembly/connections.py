"""The clients of Kafka and etcd that the settings describe, and the topics of a shard."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import inf

from processor.configuration.settings import Settings
from processor.configuration.topics import TopicNames
from processor.configuration.types import current_value
from processor.engine.errors import InvalidRequest
from processor.engine.failpoints import Failpoint, never
from processor.engine.ports import Sink
from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient
from processor.kafka.connection import KafkaConnection, ShardTopics
from processor.kafka.describer import TopicDescriber
from processor.kafka.idempotent import IdempotentSink
from processor.kafka.output import SinkTimeouts
from processor.kafka.sink import KafkaSink
from processor.runtime import pem


def kafka_connection(settings: Settings) -> KafkaConnection:
    """Return the connection to Kafka; user and password are read from their files for each new connection."""
    kafka = settings.kafka
    return KafkaConnection(kafka.bootstrap_servers, extra=kafka.properties(), credentials=kafka.current_credentials)


def etcd_access(settings: Settings) -> Access:
    """Return the access to etcd with the present contents of password and certificate files. Raises InvalidRequest."""
    etcd = settings.etcd
    try:
        certificate, key = etcd.client_certificate()
        return Access(
            endpoints=etcd.members,
            root=f"{etcd.prefix}/{settings.app}/",
            tls=etcd.tls,
            ca=pem.check_authorities(etcd.ca_file) if etcd.ca_file else None,
            certificate=certificate,
            private_key=key,
            username=current_value(etcd.username),
            password=current_value(etcd.password),
        )
    except ValueError as error:
        raise InvalidRequest(str(error)) from error


def etcd_client(settings: Settings, *, left_s: Callable[[], float] = lambda: inf) -> EtcdClient:
    """Return a client of etcd, which reads password and certificate files again when etcd denies it.

    `left_s` returns the time limit of a call in seconds. Raises InvalidRequest when one of the files cannot be read.
    """
    return EtcdClient(etcd_access(settings), reread=partial(etcd_access, settings), left_s=left_s)


def shard_topics(topics: TopicNames, *, inputs: Sequence[int], output: int, ticked: bool = False) -> ShardTopics:
    """Return the topics of a shard with its partitions; `ticked`: its clock writes ticks to the normal topic."""
    return ShardTopics(
        high=topics["high"],
        normal=topics["normal"],
        changes=topics["changes"],
        commits=topics["commits"],
        dead_letters=topics["dead-letters"],
        input_partitions=tuple(inputs),
        output_partition=output,
        ticked=ticked,
    )


def group_of(settings: Settings) -> str:
    """Return the consumer group whose offsets show the positions to lag tools."""
    return f"{settings.app}-processor"


def shard_sink(
    settings: Settings,
    connection: KafkaConnection,
    topics: ShardTopics,
    timeouts: SinkTimeouts | None = None,
    failpoint: Failpoint = never,
    describer: TopicDescriber | None = None,
) -> Sink:
    """Return the sink of a shard's outputs; opening it fences every other sink of the shard."""
    kind = KafkaSink if settings.publish.mode == "transactional" else IdempotentSink
    writer = f"{settings.app}-{topics.output_partition}"
    return kind(connection, topics, writer, timeouts or SinkTimeouts(), failpoint, describer)


@contextmanager
def store_client(settings: Settings) -> Iterator[EtcdClient]:
    """Open a client of etcd. Raises InvalidRequest."""
    client = etcd_client(settings)
    try:
        yield client
    finally:
        client.close()
