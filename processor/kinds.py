"""The kinds of entities by the words that people use for them, and their place in the state document."""

from collections.abc import Mapping
from typing import Any

from processor.engine.errors import InvalidRequest

POLICY_NAME = "cluster"

SECTIONS = {
    "policy": "policy",
    "server": "servers",
    "responder": "responders",
    "model": "models",
    "pipeline": "pipelines",
    "experiment": "experiments",
    "failure": "failures",
}
"""Kind → section of the state document."""

WORDS = {word: kind for kind, section in SECTIONS.items() for word in (kind, section)} | {"policies": "policy"}
"""Singular or plural → kind."""


def kind_and_name(word: str, name: str | None) -> tuple[str, str | None]:
    """Return kind and name of `model iris` and of `model/iris`. Raises InvalidRequest for a word that is no kind."""
    if name is None and "/" in word:
        word, _, name = word.partition("/")
    if word not in WORDS:
        raise InvalidRequest(f"there is no kind {word!r}: {', '.join(SECTIONS)}")
    return WORDS[word], name


def entities_of(document: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return name → entity of one kind, from a state document; the policy is one entity with a fixed name."""
    section: Mapping[str, Any] = document[SECTIONS[kind]]
    return {POLICY_NAME: section} if kind == "policy" else section
