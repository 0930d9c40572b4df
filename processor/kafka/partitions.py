"""Whether the topics have the partitions that the shards need: shard i is partition i of each topic."""

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException

from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.kafka.describer import TopicDescriber
from processor.kafka.topic_ids import sentence_of

TIMEOUT_S = 5.0


def partition_counts(
    describer: TopicDescriber, names: Sequence[str], *, timeout_s: float = TIMEOUT_S
) -> dict[str, int]:
    """Return topic → partitions. Raises SourceUnavailable, also while one of them does not exist; InvalidRequest."""
    counts = {}
    for name, answer in describer.ask(names, timeout_s).items():
        try:
            counts[name] = answer.result().partitions
        except KafkaException as failure:
            raise SourceUnavailable(sentence_of(name, failure, describer.connection)) from failure
    return counts


def check_partitions(counts: Mapping[str, int], clusters: Sequence[str]) -> None:
    """Raise InvalidRequest unless every topic has exactly one partition per cluster."""
    wrong = {name: count for name, count in counts.items() if count != len(clusters)}
    if wrong:
        listed = ", ".join(f"{name} has {count}" for name, count in sorted(wrong.items()))
        raise InvalidRequest(
            f"wrong partition count: {listed}; PROCESSOR_CLUSTERS names {len(clusters)} ({', '.join(clusters)}). "
            "Each cluster is one partition of all five topics: name as many clusters as there are partitions, "
            "or add partitions with: processor topics apply"
        )
