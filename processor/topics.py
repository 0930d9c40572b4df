"""The topics as `topics.yaml` states them: documents of Strimzi's kind KafkaTopic, ours in the annotations.

A second file may change the `spec` of topics, by name: `topics.production.yaml` holds the numbers for production.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from processor.engine.errors import InvalidRequest
from processor.engine.values import HIGH, NORMAL, OUTPUT_ROLES, Role

ROLES: Final[tuple[Role, ...]] = (HIGH, NORMAL, *OUTPUT_ROLES)

Document = TypeVar("Document", bound=BaseModel)
Count = Annotated[int, Field(ge=1, strict=True)]
Config = dict[str, StrictBool | StrictInt | StrictStr]
TopicName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=249)]


class TopicsInvalid(InvalidRequest):
    """The topics file cannot be used; the message names the file, the document and the field."""


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Annotations(_Closed):
    """What is ours about a topic."""

    role: Role = Field(alias="processor/role", description="What the topic is to the processor.")
    schemas: str = Field("", alias="processor/schemas", description="The records that it carries, comma-separated.")
    key: str = Field(alias="processor/key", description="What its records are keyed by.")


class Metadata(_Closed):
    """Which topic this is; the name is the topic's name in Kafka."""

    name: TopicName
    namespace: str | None = Field(None, description="Kubernetes namespace.")
    labels: dict[str, str] = Field({}, description="`strimzi.io/cluster` names the Kafka cluster.")
    annotations: Annotations


class Spec(_Closed):
    """How the topic is made."""

    partitions: Count = Field(description="One a cluster, the same for all topics.")
    replicas: Count = Field(description="Copies of each partition.")
    config: Config = Field({}, description="Kafka's topic settings.")


class KafkaTopic(_Closed):
    """A topic, as Strimzi's topic operator takes it."""

    api_version: Literal["kafka.strimzi.io/v1"] = Field(alias="apiVersion")
    kind: Literal["KafkaTopic"]
    metadata: Metadata
    spec: Spec


class PatchMetadata(_Closed):
    """Which topic a patch is for."""

    name: TopicName


class PatchSpec(_Closed):
    """What is different; settings are changed one by one."""

    partitions: Count | None = None
    replicas: Count | None = None
    config: Config = {}


class TopicPatch(_Closed):
    """What is different about a topic."""

    api_version: Literal["kafka.strimzi.io/v1"] = Field(alias="apiVersion")
    kind: Literal["KafkaTopic"]
    metadata: PatchMetadata
    spec: PatchSpec


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
    """The five topics by role, co-partitioned; `documents` are what `topics.yaml` says, with the patches applied."""

    by_role: Mapping[Role, Topic]
    partitions: int
    documents: tuple[KafkaTopic, ...]

    def input_of(self, event_type: str) -> Topic:
        """Return the input topic that carries this event. Raises TopicsInvalid when none does."""
        for role in (HIGH, NORMAL):
            if event_type in self.by_role[role].schemas:
                return self.by_role[role]
        raise TopicsInvalid(f"no input topic carries {event_type}")


def load_topics(path: Path, *patches: Path) -> Topics:
    """Read the topics, then what the patches change. Raises TopicsInvalid."""
    documents: dict[str, KafkaTopic] = {}
    for where, document in _documents(path):
        topic = _validated(KafkaTopic, document, where)
        if topic.metadata.name in documents:
            raise TopicsInvalid(f"{where}: metadata.name: stands there twice")
        documents[topic.metadata.name] = topic
    for patch_path in patches:
        for where, document in _documents(patch_path):
            patch = _validated(TopicPatch, document, where)
            if patch.metadata.name not in documents:
                raise TopicsInvalid(f"{where}: metadata.name: {path} has no such topic")
            documents[patch.metadata.name] = _patched(documents[patch.metadata.name], patch.spec)
    return _topics(path, tuple(documents.values()))


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of one document of `topics.yaml`, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **KafkaTopic.model_json_schema()}


def _topics(path: Path, documents: tuple[KafkaTopic, ...]) -> Topics:
    by_role: dict[Role, Topic] = {}
    for document in documents:
        topic = _topic(document)
        if topic.role in by_role:
            both = f"{by_role[topic.role].name} and {topic.name}"
            raise TopicsInvalid(f"{path}: metadata.annotations.processor/role: {both} are both {topic.role}")
        by_role[topic.role] = topic
    missing = [role for role in ROLES if role not in by_role]
    if missing:
        raise TopicsInvalid(f"{path}: metadata.annotations.processor/role: no topic is {', '.join(missing)}")
    partitions = {topic.name: topic.partitions for topic in by_role.values()}
    if len(set(partitions.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in partitions.items())
        raise TopicsInvalid(f"{path}: spec.partitions: must be the same for all topics, not {listed}")
    return Topics(by_role, by_role[HIGH].partitions, documents)


def _topic(document: KafkaTopic) -> Topic:
    annotations = document.metadata.annotations
    return Topic(
        name=document.metadata.name,
        role=annotations.role,
        schemas=tuple(name.strip() for name in annotations.schemas.split(",") if name.strip()),
        key=annotations.key,
        partitions=document.spec.partitions,
        replicas=document.spec.replicas,
        config={name: _broker_word(value) for name, value in document.spec.config.items()},
    )


def _broker_word(value: bool | int | str) -> str:  # noqa: FBT001 - a value of the file, not a switch
    return str(value).lower() if isinstance(value, bool) else str(value)


def _patched(topic: KafkaTopic, patch: PatchSpec) -> KafkaTopic:
    changed = {name: value for name in ("partitions", "replicas") if (value := getattr(patch, name)) is not None}
    spec = topic.spec.model_copy(update={**changed, "config": {**topic.spec.config, **patch.config}})
    return topic.model_copy(update={"spec": spec})


def _documents(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each document with where it stands."""
    try:
        documents = list(yaml.safe_load_all(path.read_text()))
    except OSError as error:
        raise TopicsInvalid(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TopicsInvalid(f"{path}: no YAML: {error}") from error
    for number, document in enumerate(documents, start=1):
        if document is not None:
            yield f"{path}: document {number}{_name_of(document)}", document


def _name_of(document: Any) -> str:
    metadata = document.get("metadata") if isinstance(document, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f" ({name})" if isinstance(name, str) else ""


def _validated(model: type[Document], document: Any, where: str) -> Document:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise TopicsInvalid(f"{where}: {field}: {first['msg']}") from error
