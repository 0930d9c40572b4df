"""The topics of the settings on the brokers: what they should be, and creating those that are missing."""

from pathlib import Path

from processor.assembly.connections import kafka_connection
from processor.configuration.settings import Settings
from processor.configuration.shipped import resolve
from processor.configuration.topics import load_topics
from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.kafka.admin import CreateTopic, TopicsAdmin, TopicSpec
from processor.kafka.recognition import recognised


def topic_specs(settings: Settings, patch: Path | None = None) -> list[TopicSpec]:
    """Return the topics of the settings, with the changes of a patch file. Raises InvalidRequest."""
    topics = load_topics(settings.topics_file, *([resolve(patch)] if patch else []))
    if topics.partitions < len(settings.clusters):
        names = ", ".join(settings.clusters)
        raise InvalidRequest(f"{settings.topics_file} has {topics.partitions} partitions a topic, too few for {names}")
    return [TopicSpec(topic.name, topic.partitions, topic.replicas, topic.config) for topic in topics.by_role.values()]


def topics_admin(settings: Settings) -> TopicsAdmin:
    """Return the administration of the brokers' topics. Raises SourceUnavailable, InvalidRequest."""
    return TopicsAdmin(recognised(kafka_connection(settings)))


def create_missing_topics(settings: Settings) -> None:
    """Create the topics that the brokers do not have. Raises SourceUnavailable."""
    admin = topics_admin(settings)
    missing = [action for action in admin.plan(topic_specs(settings)) if isinstance(action, CreateTopic)]
    failures = [f"{result.action}: {result.failure}" for result in admin.apply(missing) if result.failure]
    if failures:
        raise SourceUnavailable("; ".join(failures))
