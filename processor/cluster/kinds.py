"""The kinds of entities by the words that people use for them, and their place in the state document."""

from collections.abc import Mapping
from typing import Any

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


def entities_of(document: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return name → entity of one kind, from a state document; the policy is one entity with a fixed name."""
    section: Mapping[str, Any] = document[SECTIONS[kind]]
    return {POLICY_NAME: section} if kind == "policy" else section
