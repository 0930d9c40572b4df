"""How to reach the brokers, which topics and partitions belong to a shard, and what is common to all clients."""

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from processor.engine.errors import InvalidRequest
from processor.engine.values import LaneName, Role

Property = str | int | float | bool

LOGGER = logging.getLogger("processor.kafka")


# While no broker answers, librdkafka knocks at every address again after the first of these, for ever: its default of
# 100 ms keeps a core busy. After a real outage nobody should wait longer than the second, by default ten times as long.
RECONNECTING: Mapping[str, Property] = {"reconnect.backoff.ms": 250, "reconnect.backoff.max.ms": 1_000}
# What a client has to say waits in its memory until somebody polls it. Who polls it only at times lets it say nothing
# but what is fatal; its calls report the rest.
UNHEARD: Mapping[str, Property] = {"log_level": 2}

ClientType = TypeVar("ClientType", Consumer, Producer, AdminClient)


class KafkaConnection(msgspec.Struct, frozen=True):
    """Where the brokers are; `extra` are librdkafka properties, handed on as they are.

    `embedded`: the brokers are librdkafka's mock cluster, which has no admin API.
    """

    bootstrap_servers: str
    extra: Mapping[str, Property] = {}
    embedded: bool = False

    def properties(self, tuned: Mapping[str, Property], required: Mapping[str, Property]) -> dict[str, Property]:
        """Return client properties: `extra` may change what is tuned, never what correctness rests on."""
        return {**RECONNECTING, **tuned, **self.extra, "bootstrap.servers": self.bootstrap_servers, **required}


def client(kind: type[ClientType], properties: Mapping[str, Any]) -> ClientType:
    """Return a client that logs through `logging`. Raises InvalidRequest when librdkafka does not take a property."""
    try:
        return kind(dict(properties), logger=LOGGER)
    except KafkaException as failure:
        raise InvalidRequest(f"a Kafka property is not accepted: {cause_of(failure)}") from failure


class ShardTopics(msgspec.Struct, frozen=True):
    """The topics of a shard by role and its partitions of them."""

    high: str
    normal: str
    changes: str
    commits: str
    dead_letters: str
    input_partitions: tuple[int, ...]
    output_partition: int

    @property
    def names(self) -> tuple[str, ...]:
        """All five topics."""
        return (self.high, self.normal, self.changes, self.commits, self.dead_letters)

    @property
    def inputs(self) -> dict[LaneName, str]:
        """The input topic of each lane."""
        return {"high": self.high, "normal": self.normal}

    @property
    def outputs(self) -> dict[Role, str]:
        """The output topic of each role."""
        return {"changes": self.changes, "commits": self.commits, "dead-letters": self.dead_letters}


def cause_of(failure: BaseException) -> str:
    """Return what librdkafka says about a failure, with the name of its code."""
    error = failure.args[0] if isinstance(failure, KafkaException) and failure.args else None
    return words_of(error) if isinstance(error, KafkaError) else f"{type(failure).__name__}: {failure}"


def words_of(error: KafkaError) -> str:
    """Return an error's text and the name of its code."""
    return f"{error.str()} ({error.name()})"


def code_of(failure: KafkaException) -> int:
    """Return librdkafka's error code of an exception."""
    error: KafkaError = failure.args[0]
    code: int = error.code()
    return code
