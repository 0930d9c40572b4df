"""The five topics of the processor, as `topics.yaml` defines them: Strimzi KafkaTopics with our annotations.

A second file may patch the `spec` of topics, by name: `topics.production.yaml` holds the numbers for production.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from processor.configuration.settings import Settings
from processor.configuration.topic_documents import (
    OURS,
    KafkaTopic,
    PatchSpec,
    TopicPatch,
    TopicsInvalid,
    resources_in,
    validated,
)
from processor.configuration.topic_settings import InvalidTopicSetting, broker_value
from processor.engine.announcements import OUTPUT_ROLES, Role
from processor.engine.inputs import HIGH, NORMAL

ROLES: Final[tuple[Role, ...]] = (HIGH, NORMAL, *OUTPUT_ROLES)


class Topic(msgspec.Struct, frozen=True):
    """One topic; `config` holds the values as brokers report them."""

    name: str
    role: Role
    schemas: tuple[str, ...]
    key: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


class Topics(msgspec.Struct, frozen=True):
    """The five topics by role, co-partitioned."""

    by_role: Mapping[Role, Topic]
    partitions: int

    def input_of(self, event_type: str) -> Topic:
        """Return the input topic that carries this event type. Raises TopicsInvalid if none does."""
        for role in (HIGH, NORMAL):
            if event_type in self.by_role[role].schemas:
                return self.by_role[role]
        raise TopicsInvalid(f"no input topic carries {event_type}")


def load_topics(path: Path, *patches: Path) -> Topics:
    """Read the topics and apply the patches. Raises TopicsInvalid.

    Resources of other kinds, and topics without an annotation of ours, belong to others and are ignored.
    """
    topics: dict[str, Topic] = {}
    ignored: list[str] = []
    for resource in resources_in(path):
        if resource.name is not None and not resource.is_annotated:
            ignored.append(resource.name)
            continue
        document = validated(KafkaTopic, resource)
        if document.metadata.name in topics:
            raise TopicsInvalid(f"{resource.where}: metadata.name: duplicate")
        topics[document.metadata.name] = _topic(document, resource.where)
    for patch_path in patches:
        for resource in resources_in(patch_path):
            patch = validated(TopicPatch, resource)
            if patch.metadata.name not in topics:
                raise TopicsInvalid(f"{resource.where}: metadata.name: {path} has no such topic")
            topics[patch.metadata.name] = _patched(topics[patch.metadata.name], patch.spec, resource.where)
    return _topics(path, tuple(topics.values()), ignored)


def _topics(path: Path, topics: tuple[Topic, ...], ignored: list[str]) -> Topics:
    by_role: dict[Role, Topic] = {}
    for topic in topics:
        if topic.role in by_role:
            both = f"{by_role[topic.role].name} and {topic.name}"
            raise TopicsInvalid(f"{path}: metadata.annotations.processor/role: {both} are both {topic.role}")
        by_role[topic.role] = topic
    missing = [role for role in ROLES if role not in by_role]
    if missing:
        without = f"; passed over, as they have no annotation {OURS}…: {', '.join(ignored)}" if ignored else ""
        raise TopicsInvalid(f"{path}: metadata.annotations.processor/role: no topic is {', '.join(missing)}{without}")
    if len({topic.name for topic in topics}) < len(topics):
        listed = ", ".join(sorted(topic.name for topic in topics))
        raise TopicsInvalid(f"{path}: spec.topicName: one topic has several roles: {listed}")
    partitions = {topic.name: topic.partitions for topic in by_role.values()}
    if len(set(partitions.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in partitions.items())
        raise TopicsInvalid(f"{path}: spec.partitions: must be the same for all topics, not {listed}")
    return Topics(by_role, by_role[HIGH].partitions)


def _topic(document: KafkaTopic, where: str) -> Topic:
    annotations = document.metadata.annotations
    return Topic(
        name=document.spec.topic_name or document.metadata.name,
        role=annotations.role,
        schemas=tuple(name.strip() for name in annotations.schemas.split(",") if name.strip()),
        key=annotations.key,
        partitions=document.spec.partitions,
        replicas=document.spec.replicas,
        config=_config(document.spec.config, where),
    )


def _patched(topic: Topic, patch: PatchSpec, where: str) -> Topic:
    return msgspec.structs.replace(
        topic,
        name=patch.topic_name or topic.name,
        partitions=patch.partitions or topic.partitions,
        replicas=patch.replicas or topic.replicas,
        config={**topic.config, **_config(patch.config, where)},
    )


def _config(settings: Mapping[str, Any], where: str) -> dict[str, str]:
    config: dict[str, str] = {}
    for name, value in settings.items():
        try:
            config[name] = broker_value(name, value)
        except InvalidTopicSetting as error:
            raise TopicsInvalid(f"{where}: spec.config.{name}: {error}") from error
    return config


TopicNames = Mapping[Role, str]
"""Role → topic name, all five."""


def topic_names(settings: Settings) -> TopicNames:
    """Return role → name of all five topics. Raises InvalidRequest."""
    topics = load_topics(settings.topics_file)
    return {role: topic.name for role, topic in topics.by_role.items()}
