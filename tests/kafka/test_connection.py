import logging

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from processor.engine.errors import InvalidRequest
from processor.kafka.connection import RECONNECTING, KafkaConnection, ShardTopics, cause_of, client
from processor.kafka.sink import KafkaSink
from processor.kafka.source import KafkaSource
from tests.waiting import wait_until

TOPICS = ShardTopics("high", "normal", "changes", "commits", "dead", (0,), 0)
CONNECTION = KafkaConnection("127.0.0.1:1", {"linger.ms": 7, "acks": "1"})


def test_extra_properties_win_over_tuning_and_lose_against_what_is_required() -> None:
    properties = CONNECTION.properties({"linger.ms": 1, "batch.size": 5}, {"acks": "all"})

    assert dict(RECONNECTING) | properties == properties
    assert {name: value for name, value in properties.items() if name not in RECONNECTING} == {
        "bootstrap.servers": "127.0.0.1:1",
        "error_cb": CONNECTION.causes.note,
        "linger.ms": 7,
        "batch.size": 5,
        "acks": "all",
    }


def test_an_unknown_property_is_told_at_the_start() -> None:
    connection = KafkaConnection("127.0.0.1:1", {"no.such.thing": 1})

    with pytest.raises(InvalidRequest, match=r"no\.such\.thing"):
        KafkaSource(connection, TOPICS, "group").facts()


def test_a_value_that_librdkafka_does_not_take_is_told() -> None:
    with pytest.raises(InvalidRequest, match=r"message\.max\.bytes"):
        client(Producer, {"message.max.bytes": "soon"})


def test_clients_log_through_logging(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("processor.kafka"), "filters", [])  # as nothing that ran before left it
    producer = client(Producer, {"bootstrap.servers": "127.0.0.1:1"})
    with caplog.at_level(logging.INFO, "processor.kafka"):
        wait_until(lambda: producer.poll(0.01) == 0 and "127.0.0.1:1" in caplog.text)


def test_a_failure_is_told_with_the_name_of_its_code() -> None:
    assert cause_of(KafkaException(KafkaError(KafkaError._TIMED_OUT, "too slow"))) == "too slow (_TIMED_OUT)"
    assert cause_of(SystemError("lost")) == "SystemError: lost"


def test_topics_are_known_by_role_and_lane() -> None:
    assert TOPICS.outputs == {"changes": "changes", "commits": "commits", "dead-letters": "dead"}
    assert TOPICS.inputs == {"high": "high", "normal": "normal"}
    assert TOPICS.names == ("high", "normal", "changes", "commits", "dead")


def test_closing_what_was_never_opened_is_closing() -> None:
    sink = KafkaSink(CONNECTION, TOPICS, "writer")
    sink.close()
    sink.close()
