import pytest

from processor.configuration.topic_settings import KINDS, broker_value
from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.kafka.admin import (
    AddPartitions,
    CreateTopic,
    Impossible,
    Result,
    SetConfig,
    TopicDescription,
    TopicsAdmin,
    TopicSpec,
    plan,
)
from processor.kafka.connection import KafkaConnection
from tests.services import Kafka
from tests.waiting import wait_equal, wait_for, wait_until

SPEC = TopicSpec("topic", partitions=2, replicas=1, config={"retention.ms": "1000"})
AS_IT_SHALL_BE = TopicDescription("topic", "id", partitions=2, replicas=1, config={"retention.ms": "1000", "x": "y"})


@pytest.fixture
def admin(kafka: Kafka) -> TopicsAdmin:
    return TopicsAdmin(KafkaConnection(kafka.bootstrap))


def test_a_missing_topic_is_to_be_created() -> None:
    assert plan([SPEC], {}) == [CreateTopic(SPEC)]


def test_a_topic_as_it_shall_be_needs_nothing() -> None:
    assert plan([SPEC], {"topic": AS_IT_SHALL_BE}) == []


def test_partitions_are_added_and_settings_set() -> None:
    other = TopicDescription("topic", "id", partitions=1, replicas=1, config={"retention.ms": "-1"})

    assert plan([SPEC], {"topic": other}) == [
        AddPartitions("topic", before=1, after=2),
        SetConfig("topic", "retention.ms", before="-1", after="1000"),
    ]


def test_fewer_partitions_and_other_replicas_are_impossible() -> None:
    other = TopicDescription("topic", "id", partitions=3, replicas=2, config={"retention.ms": "1000"})

    actions = plan([SPEC], {"topic": other})

    assert all(isinstance(action, Impossible) for action in actions)
    assert ["partitions" in str(actions[0]), "replicas" in str(actions[1])] == [True, True]


def test_what_was_applied_is_what_is_planned_no_more(admin: TopicsAdmin, namespace: str) -> None:
    spec = TopicSpec(namespace, partitions=1, replicas=1, config={"retention.ms": "-1", "max.message.bytes": "2097152"})
    assert admin.plan([spec]) == [CreateTopic(spec)]

    assert admin.apply(admin.plan([spec])) == [Result(CreateTopic(spec))]

    wait_equal(lambda: admin.describe([namespace]).keys(), {namespace})
    assert admin.plan([spec]) == []
    topic = admin.describe([namespace])[namespace]
    assert topic.overridden == {"retention.ms", "max.message.bytes"}
    assert topic.config["cleanup.policy"] == "delete"


def test_a_topic_is_changed_to_what_it_shall_be(admin: TopicsAdmin, namespace: str) -> None:
    admin.apply([CreateTopic(TopicSpec(namespace, partitions=1, replicas=1, config={"cleanup.policy": "delete"}))])
    wait_until(lambda: admin.describe([namespace]))
    wanted = TopicSpec(namespace, partitions=3, replicas=1, config={"retention.ms": "5000"})

    results = admin.apply(admin.plan([wanted]))

    assert [type(result.action) for result in results] == [AddPartitions, SetConfig]
    assert [result.failure for result in results] == ["", ""]
    wait_equal(lambda: admin.plan([wanted]), [])
    assert admin.describe([namespace])[namespace].config["cleanup.policy"] == "delete"


def test_a_setting_the_broker_does_not_take_is_a_failure_of_that_action_alone(
    admin: TopicsAdmin, namespace: str
) -> None:
    good = CreateTopic(TopicSpec(namespace, partitions=1, replicas=1))
    bad = CreateTopic(TopicSpec(f"{namespace}-bad", partitions=1, replicas=1, config={"retention.ms": "soon"}))

    results = admin.apply([bad, good])

    assert "retention.ms" in results[0].failure
    assert results[1] == Result(good)


def test_every_setting_that_a_broker_knows_is_known_offline(admin: TopicsAdmin, namespace: str) -> None:
    admin.apply([CreateTopic(TopicSpec(namespace, partitions=1, replicas=1))])
    known = wait_for(lambda: admin.describe([namespace]), bool)[namespace].config
    assert {name for name in known if not name.startswith("internal.")} - KINDS.keys() == set()


def test_values_as_people_write_them_are_what_the_broker_shows(admin: TopicsAdmin, namespace: str) -> None:
    stated = {
        "cleanup.policy": ["compact", "delete"],
        "min.cleanable.dirty.ratio": 0.3,
        "min.compaction.lag.ms": "+05",
        "preallocate": "False",
        "compression.type": "zstd",
        "follower.replication.throttled.replicas": "0:1, 1:1",
    }
    config = {name: broker_value(name, value) for name, value in stated.items()}
    spec = TopicSpec(namespace, partitions=1, replicas=1, config=config)
    assert admin.apply([CreateTopic(spec)]) == [Result(CreateTopic(spec))]
    wait_until(lambda: admin.describe([namespace]))
    assert admin.plan([spec]) == []


def test_the_embedded_broker_has_nothing_to_administer() -> None:
    with pytest.raises(InvalidRequest, match="embedded"):
        TopicsAdmin(KafkaConnection("127.0.0.1:1", embedded=True))


def test_brokers_that_do_not_answer_are_unavailable() -> None:
    admin = TopicsAdmin(KafkaConnection("127.0.0.1:1"), timeout_s=0.5)

    with pytest.raises(SourceUnavailable):
        admin.describe(["topic"])
