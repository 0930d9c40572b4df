"""Compares the topics on the brokers with those wanted: describe, plan, apply, check."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
)

from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.kafka.connection import UNHEARD, KafkaConnection, client, code_of
from processor.kafka.describer import DescribedTopic, TopicDescriber

TIMEOUT_S = 30.0
# librdkafka ends a request at its timeout; its answer needs a moment to arrive.
ANSWER_MARGIN_S = 5.0


class TopicSpec(msgspec.Struct, frozen=True):
    """A wanted topic; configuration that it does not name stays as it is."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str] = {}


class TopicDescription(msgspec.Struct, frozen=True):
    """An existing topic; `config` holds effective values, `overridden` the names set on the topic itself."""

    name: str
    id: str
    partitions: int
    replicas: int
    config: Mapping[str, str]
    overridden: frozenset[str] = frozenset()


class CreateTopic(msgspec.Struct, frozen=True):
    """The topic does not exist."""

    spec: TopicSpec

    def __str__(self) -> str:
        return f"{self.spec.name}: create with {self.spec.partitions} partitions, {self.spec.replicas} replicas"


class AddPartitions(msgspec.Struct, frozen=True):
    """The topic has too few partitions."""

    name: str
    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.name}: partitions {self.before} → {self.after}"


class SetConfig(msgspec.Struct, frozen=True):
    """One setting differs; `before` is None when the broker does not know it."""

    name: str
    key: str
    before: str | None
    after: str

    def __str__(self) -> str:
        return f"{self.name}: {self.key} {self.before} → {self.after}"


class Impossible(msgspec.Struct, frozen=True):
    """A difference that cannot be applied without losing records or moving replicas: for a person."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


Action = CreateTopic | AddPartitions | SetConfig | Impossible


class Result(msgspec.Struct, frozen=True):
    """The result of an action; `failure` is empty on success."""

    action: Action
    failure: str = ""


def plan(specs: Iterable[TopicSpec], topics: Mapping[str, TopicDescription]) -> list[Action]:
    """Return the necessary actions, an empty tuple if all topics are up to date. Pure."""
    actions: list[Action] = []
    for spec in specs:
        topic = topics.get(spec.name)
        actions += [CreateTopic(spec)] if topic is None else _differences(spec, topic)
    return actions


class TopicsAdmin:
    """The brokers' topics. Every method raises SourceUnavailable when they do not answer."""

    def __init__(self, connection: KafkaConnection, *, timeout_s: float = TIMEOUT_S) -> None:
        if connection.embedded:
            raise InvalidRequest("embedded: topics appear at first use, there is nothing to administer")
        self._client = client(AdminClient, connection.properties(UNHEARD, {}))
        self._connection = connection
        self._timeout_s = timeout_s

    def describe(self, names: Sequence[str]) -> dict[str, TopicDescription]:
        """Return the topics that exist."""
        with TopicDescriber(self._connection) as describer:
            answers = describer.ask(names, self._timeout_s)
            found = {
                name: topic for name, future in answers.items() if (topic := self._unless_missing(future)) is not None
            }
        configs = self._configs(list(found))
        return {name: _description(name, topic, configs[name]) for name, topic in found.items()}

    def plan(self, specs: Sequence[TopicSpec]) -> list[Action]:
        """Return what `apply` would do."""
        return plan(specs, self.describe([spec.name for spec in specs]))

    def apply(self, actions: Iterable[Action]) -> list[Result]:
        """Carry out a plan, one action after another; what is impossible is a failure."""
        return [self._apply(action) for action in actions]

    def _apply(self, action: Action) -> Result:
        match action:
            case CreateTopic(spec=spec):
                new = NewTopic(spec.name, spec.partitions, spec.replicas, config=dict(spec.config))
                return self._result(action, self._client.create_topics([new], request_timeout=self._timeout_s))
            case AddPartitions(name=name, after=after):
                grown = NewPartitions(name, after)
                return self._result(action, self._client.create_partitions([grown], request_timeout=self._timeout_s))
            case SetConfig(name=name, key=key, after=after):
                entry = ConfigEntry(key, after, incremental_operation=AlterConfigOpType.SET)
                resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry])
                answers = self._client.incremental_alter_configs([resource], request_timeout=self._timeout_s)
                return self._result(action, answers)
            case Impossible(reason=reason):
                return Result(action, reason)

    def _configs(self, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        answers = self._client.describe_configs(resources, request_timeout=self._timeout_s)
        return {resource.name: self._answer(future) for resource, future in answers.items()}

    def _result(self, action: Action, answers: Mapping[Any, "Future[Any]"]) -> Result:
        for future in answers.values():
            try:
                future.result(self._timeout_s + ANSWER_MARGIN_S)
            except KafkaException as failure:
                return Result(action, self._connection.cause_of(failure, self._client))
            except TimeoutError:
                return Result(action, f"no answer within {self._timeout_s} s")
        return Result(action)

    def _unless_missing(self, future: "Future[Any]") -> Any:
        try:
            return self._answer(future)
        except SourceUnavailable as failure:
            cause = failure.__cause__
            if isinstance(cause, KafkaException) and code_of(cause) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise

    def _answer(self, future: "Future[Any]") -> Any:
        try:
            return future.result(self._timeout_s + ANSWER_MARGIN_S)
        except (KafkaException, TimeoutError) as failure:
            cause = self._connection.cause_of(failure, self._client)
            raise SourceUnavailable(f"the brokers do not answer: {cause}") from failure


def _differences(spec: TopicSpec, topic: TopicDescription) -> list[Action]:
    actions: list[Action] = []
    if topic.partitions < spec.partitions:
        actions.append(AddPartitions(spec.name, topic.partitions, spec.partitions))
    if topic.partitions > spec.partitions:
        reason = f"has {topic.partitions} partitions, shall have {spec.partitions}: partitions cannot be taken away"
        actions.append(Impossible(spec.name, reason))
    if topic.replicas != spec.replicas:
        reason = f"has {topic.replicas} replicas, shall have {spec.replicas}: use kafka-reassign-partitions.sh"
        actions.append(Impossible(spec.name, reason))
    for key, value in spec.config.items():
        if topic.config.get(key) != value:
            actions.append(SetConfig(spec.name, key, topic.config.get(key), value))
    return actions


def _description(name: str, topic: DescribedTopic, entries: Mapping[str, Any]) -> TopicDescription:
    return TopicDescription(
        name=name,
        id=topic.id,
        partitions=topic.partitions,
        replicas=topic.replicas,
        config={key: entry.value or "" for key, entry in entries.items()},
        overridden=frozenset(
            key for key, entry in entries.items() if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        ),
    )
