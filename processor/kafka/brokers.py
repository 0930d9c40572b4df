"""What the brokers' settings allow; needs DESCRIBE_CONFIGS on the cluster."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource

from processor.engine.errors import SourceUnavailable
from processor.kafka.connection import UNHEARD, KafkaConnection, client, code_of
from processor.kafka.output import ANSWER_MARGIN_S, SinkTimeouts
from processor.kafka.sink import TRANSACTION_LIMIT

NOT_TOLD = frozenset({KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED})
TIMEOUT_S = 5.0


def refused_transactions(connection: KafkaConnection, *, timeout_s: float = TIMEOUT_S) -> str | None:
    """Return why brokers would refuse our transactions, empty if none would, None if they do not say.

    Raises SourceUnavailable.
    """
    if connection.embedded:
        return ""
    needed_ms = int(SinkTimeouts().transaction_s * 1000)
    try:
        limits = _limits(connection, timeout_s)
    except KafkaException as failure:
        if code_of(failure) in NOT_TOLD:
            return None
        raise SourceUnavailable(f"the brokers do not tell their settings: {connection.cause_of(failure)}") from failure
    except TimeoutError as failure:
        raise SourceUnavailable(f"the brokers do not tell their settings within {timeout_s} s") from failure
    low = {broker: limit for broker, limit in limits.items() if limit < needed_ms}
    if not low:
        return ""
    listed = ", ".join(f"broker {broker} has {limit}" for broker, limit in sorted(low.items()))
    return f"{TRANSACTION_LIMIT}: {listed}, {needed_ms} or more is needed: nothing can be published; set it and restart"


def _limits(connection: KafkaConnection, timeout_s: float) -> dict[int, int]:
    admin = client(AdminClient, connection.properties(UNHEARD, {}))
    brokers = list(admin.list_topics(timeout=timeout_s).brokers)
    resources = [ConfigResource(ConfigResource.Type.BROKER, str(broker)) for broker in brokers]
    answers = admin.describe_configs(resources, request_timeout=timeout_s)
    return {
        int(resource.name): int(answer.result(timeout_s + ANSWER_MARGIN_S)[TRANSACTION_LIMIT].value)
        for resource, answer in answers.items()
    }
