import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.kafka.connection import KafkaConnection
from processor.kafka.describer import TopicDescriber
from processor.kafka.partitions import check_partitions, partition_counts
from tests.services import Kafka
from tests.waiting import wait_equal

CLUSTERS = ("blue", "green")


def test_one_partition_a_cluster_is_as_it_should_be() -> None:
    check_partitions({"high": 2, "normal": 2}, CLUSTERS)


@pytest.mark.parametrize("count", [1, 3])
def test_any_other_number_of_partitions_is_refused_with_the_facts(count: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_partitions({"high": 2, "normal": count}, CLUSTERS)
    sentence = str(refused.value)
    assert f"wrong partition count: normal has {count}" in sentence
    assert "PROCESSOR_CLUSTERS names 2 (blue, green)" in sentence
    assert "high has" not in sentence


def test_the_brokers_say_how_many_partitions_each_topic_has(kafka: Kafka, namespace: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    topics = {f"{namespace}-1": 1, f"{namespace}-3": 3}
    for made in admin.create_topics([NewTopic(name, count, 1) for name, count in topics.items()]).values():
        made.result(30)
    with TopicDescriber(KafkaConnection(kafka.bootstrap)) as describer:
        wait_equal(lambda: partition_counts(describer, list(topics)), topics)
        describer.close()
        assert partition_counts(describer, list(topics)) == topics, "asked anew"


def test_a_topic_that_does_not_exist_may_still_be_made(kafka: Kafka, namespace: str) -> None:
    with (
        TopicDescriber(KafkaConnection(kafka.bootstrap)) as describer,
        pytest.raises(SourceUnavailable, match="topics apply"),
    ):
        partition_counts(describer, [namespace])


def test_brokers_that_do_not_answer_may_answer_later() -> None:
    with TopicDescriber(KafkaConnection("127.0.0.1:1")) as describer, pytest.raises(SourceUnavailable):
        partition_counts(describer, ["any"], timeout_s=0.5)
