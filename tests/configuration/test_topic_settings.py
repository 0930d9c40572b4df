from typing import Any

import pytest

from processor.configuration.topic_settings import KINDS, InvalidTopicSetting, broker_value


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("retention.ms", 604800000, "604800000"),
        ("retention.ms", "604800000 ", "604800000"),
        ("retention.ms", "-1", "-1"),
        ("min.cleanable.dirty.ratio", 0.5, "0.5"),
        ("min.cleanable.dirty.ratio", 1, "1.0"),
        ("unclean.leader.election.enable", False, "false"),
        ("unclean.leader.election.enable", "False", "false"),
        ("cleanup.policy", ["compact", "delete"], "compact,delete"),
        ("cleanup.policy", "compact, delete", "compact,delete"),
        ("leader.replication.throttled.replicas", ["0:1", "1:2"], "0:1,1:2"),
        ("compression.type", "zstd", "zstd"),
        ("confluent.tier.enable", True, "true"),
        ("redpanda.remote.read", "true", "true"),
    ],
)
def test_a_value_is_put_in_the_words_of_the_brokers(name: str, value: Any, word: str) -> None:
    assert broker_value(name, value) == word


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("retention.byte", 1, "the nearest one is retention.bytes"),
        ("log.retention.ms", 1, "the nearest one is retention.ms"),
        ("cleanup_policy", "delete", "the nearest one is cleanup.policy"),
        ("retention.ms", 1.5, "must be a whole number, not 1.5"),
        ("retention.ms", "7d", "must be a whole number, not '7d'"),
        ("retention.ms", True, "must be a whole number, not True"),
        ("retention.ms", [1], "must be a whole number, not [1]"),
        ("retention.ms", None, "there is no value"),
        ("retention.ms", {"a": 1}, "must be a single value"),
        ("retention.ms", "१", "must be a whole number"),
        ("cleanup.policy", [["compact"]], "must be a single value"),
        ("compression.type", "brotli", "must be one of producer, uncompressed, gzip, snappy, lz4, zstd"),
        ("min.cleanable.dirty.ratio", 50, "must be a number from 0 to 1"),
        ("min.cleanable.dirty.ratio", True, "must be a number from 0 to 1"),
        ("preallocate", 1, "must be true or false"),
    ],
)
def test_what_kafka_would_refuse_is_refused_with_what_is_wanted(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(InvalidTopicSetting) as raised:
        broker_value(name, value)
    assert sentence in str(raised.value)


def test_the_known_settings_are_in_order() -> None:
    assert list(KINDS) == sorted(KINDS)
