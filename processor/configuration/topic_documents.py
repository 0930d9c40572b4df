"""The documents of a YAML file as people have them: with lists, other kinds and other people's topics among them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from processor.engine.errors import InvalidRequest
from processor.runtime.files import Unreadable, text_of

KIND: Final = "KafkaTopic"
LISTS: Final = ("List", "KafkaTopicList")
OURS: Final = "processor/"
MERGE: Final = "tag:yaml.org,2002:merge"


class TopicsInvalid(InvalidRequest):
    """The topics file cannot be used; the message names the file, the document and the field."""


class Stated(msgspec.Struct, frozen=True):
    """One resource: `where` names file, document, item of a list, and the resource itself."""

    where: str
    content: Any

    @property
    def name(self) -> str | None:
        """`metadata.name`, where it is a text."""
        name = _mapping(_mapping(self.content).get("metadata")).get("name")
        return name if isinstance(name, str) else None

    @property
    def is_other_kind(self) -> bool:
        """Whether it is a resource that has nothing to do with topics; one with annotations of ours is no such."""
        kind = _mapping(self.content).get("kind")
        return isinstance(kind, str) and kind != KIND and not self.is_annotated

    @property
    def is_annotated(self) -> bool:
        """Whether one of the annotations is ours."""
        metadata = _mapping(_mapping(self.content).get("metadata"))
        return any(str(name).startswith(OURS) for name in _mapping(metadata.get("annotations")))


def stated_in(path: Path) -> Iterator[Stated]:
    """Yield the resources of a file that have to do with topics, those in lists one by one. Raises TopicsInvalid."""
    for number, document in _documents(path):
        for stated in _resources(document, f"{path}: document {number}"):
            if not stated.is_other_kind:
                yield stated


def _resources(document: Any, where: str) -> Iterator[Stated]:
    found = _mapping(document)
    if found.get("kind") in LISTS and isinstance(found.get("items"), list):
        for number, item in enumerate(found["items"], start=1):
            yield from _resources(item, f"{where}, item {number}")
    elif document is not None:
        stated = Stated(where, document)
        yield Stated(f"{where} ({stated.name})", document) if stated.name is not None else stated


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
        # beyond its own errors the parser raises those of dates and numbers that cannot be, and of deep nesting
        raise TopicsInvalid(f"{path}: document {number + 1}: no YAML: {' '.join(str(error).split())}") from error


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands in a mapping twice, of which YAML's parser would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as PyYAML has it
        seen: set[tuple[str, Any]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value} stands there twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)
