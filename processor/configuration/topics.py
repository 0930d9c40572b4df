"""The topics as `topics.yaml` states them: documents of Strimzi's kind KafkaTopic, ours in the annotations.

A second file may change the `spec` of topics, by name: `topics.production.yaml` holds the numbers for production.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from processor.configuration.settings import Settings
from processor.configuration.topic_documents import OURS, Stated, TopicsInvalid, stated_in
from processor.configuration.topic_settings import FOREIGN, KINDS, WrongSetting, broker_word
from processor.engine.announcements import OUTPUT_ROLES, Role
from processor.engine.inputs import HIGH, NORMAL

__all__ = ["ROLES", "KafkaTopic", "Topic", "Topics", "TopicsInvalid", "json_schema", "load_topics"]

ROLES: Final[tuple[Role, ...]] = (HIGH, NORMAL, *OUTPUT_ROLES)
OUR_ANNOTATIONS: Final = (f"{OURS}role", f"{OURS}schemas", f"{OURS}key")

Document = TypeVar("Document", bound=BaseModel)
ApiVersion = Literal["kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2"]
Count = Annotated[int, Field(ge=1, strict=True)]
ResourceName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=249)]
TopicName = Annotated[str, Field(pattern=r"^([a-zA-Z0-9_-]|\.+[a-zA-Z0-9_-])[a-zA-Z0-9._-]*$", max_length=249)]
Config = Annotated[
    dict[str, Any],
    Field(
        description="Kafka's topic settings: numbers, booleans, texts, lists.",
        json_schema_extra={
            "propertyNames": {"anyOf": [{"enum": [*KINDS]}, {"pattern": f"^{FOREIGN.pattern}$"}]},
            "additionalProperties": {"type": ["boolean", "number", "string", "array"]},
        },
    ),
]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Annotations(_Closed):
    @model_validator(mode="before")
    @classmethod
    def _ours(cls, stated: Any) -> Any:
        """Leave out what others wrote there."""
        if not isinstance(stated, dict):
            return stated
        return {name: value for name, value in stated.items() if str(name).startswith(OURS)}


class Annotations(_Annotations):
    """What is ours about a topic, and what others wrote there, which is left alone."""

    model_config = ConfigDict(
        json_schema_extra={
            "additionalProperties": True,
            "propertyNames": {"anyOf": [{"pattern": "^(?!processor/)"}, {"enum": list(OUR_ANNOTATIONS)}]},
        },
    )

    role: Role = Field(alias="processor/role", description="What the topic is to the processor.")
    schemas: str = Field("", alias="processor/schemas", description="The records that it carries, comma-separated.")
    key: str = Field(alias="processor/key", description="What its records are keyed by.")


class _Object(_Closed):
    """What Kubernetes says about any object; nothing of it matters here."""

    namespace: Any = Field(None, description="Kubernetes namespace.")
    labels: Any = Field(None, description="`strimzi.io/cluster` names the Kafka cluster.")
    finalizers: Any = None
    generate_name: Any = Field(None, alias="generateName")
    uid: Any = None
    generation: Any = None
    resource_version: Any = Field(None, alias="resourceVersion")
    creation_timestamp: Any = Field(None, alias="creationTimestamp")
    deletion_timestamp: Any = Field(None, alias="deletionTimestamp")
    deletion_grace_period_seconds: Any = Field(None, alias="deletionGracePeriodSeconds")
    managed_fields: Any = Field(None, alias="managedFields")
    owner_references: Any = Field(None, alias="ownerReferences")
    self_link: Any = Field(None, alias="selfLink")


class Metadata(_Object):
    """Which topic this is; the name is the topic's name in Kafka unless `spec.topicName` is."""

    name: ResourceName
    annotations: Annotations


class Spec(_Closed):
    """How the topic is made."""

    topic_name: TopicName | None = Field(None, alias="topicName", description="Its name in Kafka, where it differs.")
    partitions: Count = Field(description="One a cluster, the same for all topics.")
    replicas: Count = Field(description="Copies of each partition.")
    config: Config = {}


class KafkaTopic(_Closed):
    """A topic, as Strimzi's topic operator takes it."""

    api_version: ApiVersion = Field(alias="apiVersion")
    kind: Literal["KafkaTopic"]
    metadata: Metadata
    spec: Spec
    status: Any = Field(None, description="What the topic operator says; not read.")


class PatchAnnotations(_Annotations):
    """Whatever others wrote there: a patch changes nothing of ours but the `spec`."""


class PatchMetadata(_Object):
    """Which topic a patch is for."""

    name: ResourceName
    annotations: PatchAnnotations = PatchAnnotations()


class PatchSpec(_Closed):
    """What is different; settings are changed one by one."""

    topic_name: TopicName | None = Field(None, alias="topicName")
    partitions: Count | None = None
    replicas: Count | None = None
    config: Config = {}


class TopicPatch(_Closed):
    """What is different about a topic."""

    api_version: ApiVersion = Field(alias="apiVersion")
    kind: Literal["KafkaTopic"]
    metadata: PatchMetadata
    spec: PatchSpec
    status: Any = None


class Topic(msgspec.Struct, frozen=True):
    """One topic; `config` in the words in which brokers state it."""

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
        """Return the input topic that carries this event. Raises TopicsInvalid when none does."""
        for role in (HIGH, NORMAL):
            if event_type in self.by_role[role].schemas:
                return self.by_role[role]
        raise TopicsInvalid(f"no input topic carries {event_type}")


def load_topics(path: Path, *patches: Path) -> Topics:
    """Read the topics, then what the patches change. Raises TopicsInvalid.

    Resources of other kinds, and topics without an annotation of ours, are other people's and passed over.
    """
    topics: dict[str, Topic] = {}
    passed_over: list[str] = []
    for stated in stated_in(path):
        if stated.name is not None and not stated.is_annotated:
            passed_over.append(stated.name)
            continue
        document = _validated(KafkaTopic, stated)
        if document.metadata.name in topics:
            raise TopicsInvalid(f"{stated.where}: metadata.name: stands there twice")
        topics[document.metadata.name] = _topic(document, stated.where)
    for patch_path in patches:
        for stated in stated_in(patch_path):
            patch = _validated(TopicPatch, stated)
            if patch.metadata.name not in topics:
                raise TopicsInvalid(f"{stated.where}: metadata.name: {path} has no such topic")
            topics[patch.metadata.name] = _patched(topics[patch.metadata.name], patch.spec, stated.where)
    return _topics(path, tuple(topics.values()), passed_over)


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of one document of `topics.yaml`, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **KafkaTopic.model_json_schema()}


def _topics(path: Path, topics: tuple[Topic, ...], passed_over: list[str]) -> Topics:
    by_role: dict[Role, Topic] = {}
    for topic in topics:
        if topic.role in by_role:
            both = f"{by_role[topic.role].name} and {topic.name}"
            raise TopicsInvalid(f"{path}: metadata.annotations.processor/role: {both} are both {topic.role}")
        by_role[topic.role] = topic
    missing = [role for role in ROLES if role not in by_role]
    if missing:
        without = f"; passed over, as they have no annotation {OURS}…: {', '.join(passed_over)}" if passed_over else ""
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


def _config(stated: Mapping[str, Any], where: str) -> dict[str, str]:
    config: dict[str, str] = {}
    for name, value in stated.items():
        try:
            config[name] = broker_word(name, value)
        except WrongSetting as error:
            raise TopicsInvalid(f"{where}: spec.config.{name}: {error}") from error
    return config


def _validated(model: type[Document], stated: Stated) -> Document:
    try:
        return model.model_validate(stated.content)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        # a misspelt field comes with a missing one: the misspelt one says more
        first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        hint = _nearest(model, first["loc"]) if first["type"] == "extra_forbidden" else ""
        raise TopicsInvalid(f"{stated.where}: {field}: {first['msg']}{hint}") from error


def _nearest(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Return a hint at the field that is nearest to the last part of a location."""
    *above, wrong = location
    for part in above:
        model = _fields(model)[str(part)]
    nearest = difflib.get_close_matches(str(wrong), _fields(model), n=1, cutoff=0.0)
    return f"; the nearest one is {nearest[0]}" if nearest else ""


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


TopicNames = Mapping[Role, str]
"""Role → topic name, all five."""


def topic_names(settings: Settings) -> TopicNames:
    """Return role → name of all five topics. Raises InvalidRequest."""
    topics = load_topics(settings.topics_file)
    return {role: topic.name for role, topic in topics.by_role.items()}
