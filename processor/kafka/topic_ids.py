"""The ids by which a broker tells a topic from another one that was given the same name later."""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from processor.engine.errors import SourceUnavailable
from processor.kafka.connection import KafkaConnection, cause_of, client, code_of

EMBEDDED_ID = "embedded"
"""The id of every topic of the embedded broker, which knows none."""

# librdkafka ends a request at its timeout; its answer needs a moment to arrive.
ANSWER_MARGIN_S = 1.0


class TopicIds:
    """Reads topic ids; connects when first asked."""

    def __init__(self, connection: KafkaConnection, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._connection = connection
        self._client: AdminClient | None = None

    def read(self, names: Sequence[str]) -> dict[str, str]:
        """Return name → id. Raises SourceUnavailable, also while one of them does not exist."""
        if self._connection.embedded:
            return dict.fromkeys(names, EMBEDDED_ID)
        if self._client is None:
            self._client = client(AdminClient, self._connection.properties({}, {}))
        answers = self._client.describe_topics(TopicCollection(list(names)), request_timeout=self._timeout_s)
        ids = {}
        for name, answer in answers.items():
            try:
                ids[name] = str(answer.result(self._timeout_s + ANSWER_MARGIN_S).topic_id)
            except KafkaException as failure:
                raise SourceUnavailable(_sentence(name, failure)) from failure
            except TimeoutError as failure:
                raise SourceUnavailable(f"{name}: no answer within {self._timeout_s} s") from failure
        return ids


def _sentence(name: str, failure: KafkaException) -> str:
    if code_of(failure) == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return f"topic {name} does not exist; create it with: processor topics apply"
    return f"topic {name} cannot be described: {cause_of(failure)}"
