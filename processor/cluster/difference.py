"""The differences of two states, by entity and field, as plain JSON values."""

from collections.abc import Iterator, Mapping
from typing import Any

from processor.cluster.changes import diff
from processor.cluster.document import change_to_json
from processor.cluster.state import State

ABSENT = object()


def differences(before: State, after: State) -> list[dict[str, Any]]:
    """Return one object an entity that differs, by kind, then name: kind, name, op, fields, transitions.

    A field is named by its path (`replicas.0.draining`); its `before` or `after` is None where it is not there.
    """
    return [_difference(change_to_json(change)) for change in diff(before, after)]


def count_by_kind(found: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return kind → operation → how many entities, in the order of `differences`."""
    counts: dict[str, dict[str, int]] = {}
    for one in found:
        of_kind = counts.setdefault(one["kind"], {})
        of_kind[one["op"]] = of_kind.get(one["op"], 0) + 1
    return counts


def field_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one object per field that differs between two entities as plain JSON; {} stands for no entity."""
    return list(_fields("", before, after))


def _difference(change: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": change["kind"],
        "name": change["name"],
        "op": change["op"],
        "fields": field_differences(change["before"] or {}, change["after"] or {}),
        "transitions": change["transitions"],
    }


def _fields(path: str, before: Any, after: Any) -> Iterator[dict[str, Any]]:
    """Yield the differences below a path; members of objects and items of lists are compared one by one."""
    if before == after:
        return
    old, new = _members(before), _members(after)
    if old is None or new is None:
        yield {"field": path, "before": _shown(before), "after": _shown(after)}
        return
    for name in {**old, **new}:
        yield from _fields(f"{path}.{name}" if path else name, old.get(name, ABSENT), new.get(name, ABSENT))


def _members(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return value if isinstance(value, dict) else None


def _shown(value: Any) -> Any:
    return None if value is ABSENT else value
