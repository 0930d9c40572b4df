"""Whether the topics have the partitions that the shards need: shard i is partition i of every one of them."""

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.kafka.connection import UNHEARD, KafkaConnection, client
from processor.kafka.topic_ids import ANSWER_MARGIN_S, sentence_of

TIMEOUT_S = 5.0


class PartitionCounts:
    """Asks the brokers; connects when first asked."""

    def __init__(self, connection: KafkaConnection, names: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = connection
        self._names = tuple(names)
        self._timeout_s = timeout_s
        self._client: AdminClient | None = None

    def read(self) -> dict[str, int]:
        """Return topic → partitions. Raises SourceUnavailable, also while one of them does not exist."""
        if self._client is None:
            self._client = client(AdminClient, self._connection.properties(UNHEARD, {}))
        topics = TopicCollection(list(self._names))
        answers = self._client.describe_topics(topics, request_timeout=self._timeout_s)
        counts = {}
        for name, answer in answers.items():
            try:
                counts[name] = len(answer.result(self._timeout_s + ANSWER_MARGIN_S).partitions)
            except KafkaException as failure:
                raise SourceUnavailable(sentence_of(name, failure, self._connection, self._client)) from failure
            except TimeoutError as failure:
                words = self._connection.cause_of(failure, self._client)
                raise SourceUnavailable(f"{name}: no answer within {self._timeout_s} s: {words}") from failure
        return counts

    def close(self) -> None:
        """Let the connection go; safe to call twice."""
        self._client = None


def check_partitions(counts: Mapping[str, int], clusters: Sequence[str]) -> None:
    """Raise InvalidRequest unless every topic has one partition a cluster, no more and no less."""
    wrong = {name: count for name, count in counts.items() if count != len(clusters)}
    if wrong:
        listed = ", ".join(f"{name} has {count}" for name, count in sorted(wrong.items()))
        raise InvalidRequest(
            f"wrong partition count: {listed}; PROCESSOR_CLUSTERS names {len(clusters)} ({', '.join(clusters)}). "
            "Each cluster is one partition of all five topics: name as many clusters as there are partitions, "
            "or add partitions with: processor topics apply"
        )
