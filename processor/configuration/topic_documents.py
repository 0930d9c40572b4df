"""The documents of a topics file: YAML resources of Strimzi's kind KafkaTopic, and their validation.

A file may be one that people apply to Kubernetes as it is: with lists, resources of other kinds, and topics that belong
to others. `resources_in` yields the resources that have to do with topics, `validated` checks one against a model.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from processor.configuration.topic_settings import FOREIGN, KINDS
from processor.engine.announcements import Role
from processor.engine.errors import InvalidRequest
from processor.runtime.files import Unreadable, text_of

KIND: Final = "KafkaTopic"
LISTS: Final = ("List", "KafkaTopicList")
OURS: Final = "processor/"
OUR_ANNOTATIONS: Final = (f"{OURS}role", f"{OURS}schemas", f"{OURS}key")
MERGE: Final = "tag:yaml.org,2002:merge"


class TopicsInvalid(InvalidRequest):
    """The topics file cannot be used; the message names the file, the document and the field."""


class Resource(msgspec.Struct, frozen=True):
    """One resource of a file; `where` names file, document, list item and resource, for messages."""

    where: str
    content: Any

    @property
    def name(self) -> str | None:
        """`metadata.name` if it is text."""
        name = _mapping(_mapping(self.content).get("metadata")).get("name")
        return name if isinstance(name, str) else None

    @property
    def is_other_kind(self) -> bool:
        """Whether the kind is not KafkaTopic and no annotation is ours."""
        kind = _mapping(self.content).get("kind")
        return isinstance(kind, str) and kind != KIND and not self.is_annotated

    @property
    def is_annotated(self) -> bool:
        """Whether an annotation is ours."""
        metadata = _mapping(_mapping(self.content).get("metadata"))
        return any(str(name).startswith(OURS) for name in _mapping(metadata.get("annotations")))


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
        """Drop annotations of others."""
        if not isinstance(stated, dict):
            return stated
        return {name: value for name, value in stated.items() if str(name).startswith(OURS)}


class Annotations(_Annotations):
    """Our annotations of a topic; those of others are ignored."""

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
    """Metadata of any Kubernetes object; ignored here."""

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
    """Identity of a topic; `name` is its name in Kafka unless `spec.topicName` is set."""

    name: ResourceName
    annotations: Annotations


class Spec(_Closed):
    """How the topic is created."""

    topic_name: TopicName | None = Field(None, alias="topicName", description="Its name in Kafka, where it differs.")
    partitions: Count = Field(description="One a cluster, the same for all topics.")
    replicas: Count = Field(description="Copies of each partition.")
    config: Config = {}


class _TopicResource(_Closed):
    api_version: ApiVersion = Field(alias="apiVersion")
    kind: Literal["KafkaTopic"]


class KafkaTopic(_TopicResource):
    """A topic, as Strimzi's topic operator takes it."""

    metadata: Metadata
    spec: Spec
    status: Any = Field(None, description="What the topic operator says; not read.")


class PatchAnnotations(_Annotations):
    """Annotations of others: a patch changes the `spec` only."""


class PatchMetadata(_Object):
    """Identity of the patched topic."""

    name: ResourceName
    annotations: PatchAnnotations = PatchAnnotations()


class PatchSpec(_Closed):
    """Changed fields; settings are changed one by one."""

    topic_name: TopicName | None = Field(None, alias="topicName")
    partitions: Count | None = None
    replicas: Count | None = None
    config: Config = {}


class TopicPatch(_TopicResource):
    """Changes to a topic."""

    metadata: PatchMetadata
    spec: PatchSpec
    status: Any = None


def resources_in(path: Path) -> Iterator[Resource]:
    """Yield the resources of a file that may be topics, flattening lists. Raises TopicsInvalid."""
    for number, document in _documents(path):
        for resource in _resources(document, f"{path}: document {number}"):
            if not resource.is_other_kind:
                yield resource


def validated(model: type[Document], resource: Resource) -> Document:
    """Return a resource as a model. Raises TopicsInvalid."""
    try:
        return model.model_validate(resource.content)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        # a misspelt field is also a missing one: report the misspelt one
        first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        hint = _nearest(model, first["loc"]) if first["type"] == "extra_forbidden" else ""
        raise TopicsInvalid(f"{resource.where}: {field}: {first['msg']}{hint}") from error


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of one document of `topics.yaml`, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **KafkaTopic.model_json_schema()}


def _resources(document: Any, where: str) -> Iterator[Resource]:
    found = _mapping(document)
    if found.get("kind") in LISTS and isinstance(found.get("items"), list):
        for number, item in enumerate(found["items"], start=1):
            yield from _resources(item, f"{where}, item {number}")
    elif document is not None:
        resource = Resource(where, document)
        yield Resource(f"{where} ({resource.name})", document) if resource.name is not None else resource


def _documents(path: Path) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        for number, document in enumerate(yaml.load_all(text_of(path), _Loader), start=1):
            yield number, document
    except Unreadable as error:
        raise TopicsInvalid(str(error)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise TopicsInvalid(f"{path}: document {number + 1}{place}: no YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # PyYAML also lets errors of impossible dates and numbers, and of deep nesting, escape
        raise TopicsInvalid(f"{path}: document {number + 1}: no YAML: {' '.join(str(error).split())}") from error


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


class _Loader(yaml.SafeLoader):
    """Rejects duplicate keys of a mapping, of which PyYAML silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as PyYAML has it
        seen: set[tuple[str, Any]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value}", key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def _nearest(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Return a hint with the field name closest to the last part of a location."""
    *above, wrong = location
    for part in above:
        model = _fields(model)[str(part)]
    nearest = difflib.get_close_matches(str(wrong), _fields(model), n=1, cutoff=0.0)
    return f"; the nearest one is {nearest[0]}" if nearest else ""


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}
