"""The kinds of entities: their names, the table of the state that holds each, and the words people use for them.

This is the only list of kinds. It imports nothing, so that a command line that only checks a word stays quick;
`state.KINDS` adds the struct of each kind.
"""

from collections.abc import Mapping
from typing import Any

POLICY_NAME = "cluster"
"""The name of the one policy."""

SECTIONS = {
    "policy": "policy",
    "server": "servers",
    "responder": "responders",
    "model": "models",
    "pipeline": "pipelines",
    "experiment": "experiments",
    "failure": "failures",
}
"""Kind → the table of the state and section of the state document that holds it, in the order of announcements."""

WORDS = {word: kind for kind, section in SECTIONS.items() for word in (kind, section)} | {"policies": "policy"}
"""Singular or plural → kind."""


def entities_of(document: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return name → entity of one kind, from a state document; the policy is one entity with a fixed name."""
    section: Mapping[str, Any] = document[SECTIONS[kind]]
    return {POLICY_NAME: section} if kind == "policy" else section
