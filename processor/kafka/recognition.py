"""Recognises the embedded broker by its address, which is all that tools have."""

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from processor.engine.errors import SourceUnavailable
from processor.kafka.connection import UNHEARD, KafkaConnection, client
from processor.kafka.embedded import TUNED

EMBEDDED_CLUSTER_ID = "mockCluster"
TIMEOUT_S = 5.0


def recognised(connection: KafkaConnection, *, timeout_s: float = TIMEOUT_S) -> KafkaConnection:
    """Return the connection, marked and tuned if the broker is an embedded one. Raises SourceUnavailable."""
    admin = client(AdminClient, connection.properties(UNHEARD, {}))
    try:
        facts = admin.list_topics(timeout=timeout_s)
    except KafkaException as failure:
        servers = connection.bootstrap_servers
        raise SourceUnavailable(
            f"Kafka at {servers} does not answer: {connection.cause_of(failure, admin)}"
        ) from failure
    if not str(facts.cluster_id).startswith(EMBEDDED_CLUSTER_ID):
        return connection
    return msgspec.structs.replace(connection, embedded=True, extra={**TUNED, **connection.extra})
