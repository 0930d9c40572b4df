"""Transitions as one line of text."""

from collections.abc import Iterator, Mapping
from typing import Any

NOTHING = "∅"


def transition_words(transition: Mapping[str, Any]) -> str:
    """Return a transition as one line: type, entity, old and new status, reason; absent attributes are left out."""
    return " ".join([transition["type"], *_words(transition)])


def _words(transition: Mapping[str, Any]) -> Iterator[str]:
    if "model" in transition:
        yield str(transition["model"])
    if "version" in transition:
        yield f"v{transition['version']}"
    if "server" in transition:
        yield f"{transition['server']}/{transition['replica']}"
    elif "replica" in transition:
        yield f"replica {transition['replica']}"
    if "role" in transition:
        yield f"{transition['role']} #{transition['sequence']}"
    yield from _status_change(transition)
    if "route_revision" in transition:
        yield f"revision {transition['route_revision']}"
    if "routes" in transition:
        yield f"→ {', '.join(map(_route, transition['routes'])) or NOTHING}"
    if "wanted" in transition:
        yield "wanted" if transition["wanted"] else "not wanted"
    if transition.get("reason"):
        yield f"({transition['reason']})"


def _status_change(transition: Mapping[str, Any]) -> Iterator[str]:
    match transition:
        case {"from": before, "to": after}:
            yield f"{before or NOTHING} → {after or NOTHING}"
        case {"from": before} if before:
            yield f"after {before}"
        case {"to": after}:
            yield f"to {after}"


def _route(route: Mapping[str, Any]) -> str:
    replicas = ",".join(str(index) for index in route["replicas"])
    return f"v{route['version']} {route['server']}/{replicas} {route['weight']} %"
