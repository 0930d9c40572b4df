"""topics.yaml as values: every topic with its role, lane, partitions, settings and the records it carries.

The file has the form of Strimzi's KafkaTopic; what is ours stands in annotations. `topics.production.yaml` has the
same names and only `spec`: it is laid over the first.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from processor.engine.errors import InvalidRequest
from processor.engine.values import Role

ROLES: tuple[Role, ...] = ("high", "normal", "changes", "commits", "dead-letters")
ConfigValue = str | int | float | bool


class TopicsInvalid(InvalidRequest):
    """The file is not what it should be; the message names file, document and field."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Annotations(_Model):
    """What is ours about a topic."""

    role: Role = Field(alias="processor/role")
    """What the processor does with it."""
    schemas: str = Field(default="", alias="processor/schemas")
    """Short names of the records that it carries, comma-separated."""
    key: str = Field(alias="processor/key")
    """What its records' keys are."""


class Metadata(_Model):
    """Name, labels and annotations."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]+$", max_length=249)]
    labels: Mapping[str, str] = {}
    annotations: Annotations


class Spec(_Model):
    """What the brokers are to have."""

    partitions: Annotated[int, Field(ge=1)]
    replicas: Annotated[int, Field(ge=1)]
    config: Mapping[str, ConfigValue] = {}


class KafkaTopic(_Model):
    """One document of topics.yaml."""

    api_version: Literal["kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2"] = Field(alias="apiVersion")
    kind: Literal["KafkaTopic"]
    metadata: Metadata
    spec: Spec

    @property
    def name(self) -> str:
        """The topic's name."""
        return self.metadata.name

    @property
    def role(self) -> Role:
        """What the processor does with it."""
        return self.metadata.annotations.role

    @property
    def schemas(self) -> tuple[str, ...]:
        """Short names of the records that it carries."""
        return tuple(part.strip() for part in self.metadata.annotations.schemas.split(",") if part.strip())

    @property
    def partitions(self) -> int:
        """How many partitions it has."""
        return self.spec.partitions

    @property
    def config(self) -> dict[str, str]:
        """The broker's settings as the broker writes them."""
        return {name: _broker_text(value) for name, value in self.spec.config.items()}


class Topics:
    """All five topics."""

    def __init__(self, topics: tuple[KafkaTopic, ...]) -> None:
        self._topics = topics
        self.by_role: Mapping[Role, KafkaTopic] = {topic.role: topic for topic in topics}

    def __iter__(self) -> Iterator[KafkaTopic]:
        return iter(self._topics)

    @property
    def partitions(self) -> int:
        """How many partitions every one of them has: the number of shards."""
        return self._topics[0].partitions

    def topic_of(self, type_name: str) -> KafkaTopic | None:
        """Return the topic that carries this record (short name)."""
        return next((topic for topic in self._topics if type_name in topic.schemas), None)


def load_topics(path: Path, *, overlay: Path | None = None) -> Topics:
    """Read the topics; `overlay` replaces the `spec` of topics by name. Raises TopicsInvalid."""
    specs = dict(_overlay(overlay)) if overlay else {}
    topics = []
    for number, document in enumerate(_documents(path), start=1):
        try:
            topic = KafkaTopic.model_validate(document)
        except ValidationError as error:
            raise TopicsInvalid(f"{path}, document {number}: {_sentences(error)}") from error
        topics.append(topic.model_copy(update={"spec": specs.pop(topic.name, topic.spec)}))
    if specs:
        raise TopicsInvalid(f"{overlay}: {path} knows no topic {', '.join(sorted(specs))}")
    _check(path, topics)
    return Topics(tuple(topics))


def _check(path: Path, topics: list[KafkaTopic]) -> None:
    roles = [topic.role for topic in topics]
    if sorted(roles) != sorted(ROLES):
        raise TopicsInvalid(f"{path}: one topic each is wanted for {', '.join(ROLES)}; there are {', '.join(roles)}")
    if len({topic.name for topic in topics}) < len(topics):
        raise TopicsInvalid(f"{path}: a topic name stands there twice")
    if len({topic.partitions for topic in topics}) > 1:
        counts = ", ".join(f"{topic.name} {topic.partitions}" for topic in topics)
        raise TopicsInvalid(f"{path}: all topics have the same number of partitions, one a shard; there are {counts}")


def _overlay(path: Path) -> Iterator[tuple[str, Spec]]:
    for number, document in enumerate(_documents(path), start=1):
        try:
            yield str(document["metadata"]["name"]), Spec.model_validate(document["spec"])
        except (KeyError, TypeError) as error:
            raise TopicsInvalid(f"{path}, document {number}: metadata.name and spec are wanted") from error
        except ValidationError as error:
            raise TopicsInvalid(f"{path}, document {number}: spec: {_sentences(error)}") from error


def _documents(path: Path) -> list[Any]:
    try:
        return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document is not None]
    except OSError as error:
        raise TopicsInvalid(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TopicsInvalid(f"{path} is no YAML: {' '.join(str(error).split())}") from error


def _sentences(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


def _broker_text(value: ConfigValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
