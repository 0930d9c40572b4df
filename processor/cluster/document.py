"""The state, its entities and its changes as plain JSON values, in which maps are objects."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from processor.cluster.changes import Change
from processor.cluster.entities import Policy
from processor.cluster.kinds import POLICY_NAME, SECTIONS
from processor.cluster.loading import load_state
from processor.cluster.state import KINDS, State

_TABLES: Final[Mapping[str, str]] = {"replicas": "index", "answers": "responder"}
_TEXT_MAPS: Final = frozenset({"parameters", "tensor_map"})
_KEYED_OUTSIDE: Final = frozenset({"kind", "name"})


class InvalidState(ValueError):
    """A document that does not describe a state."""


def to_document(state: State) -> dict[str, Any]:
    """Return table name → name → entity, and the policy under `policy`; every field is there."""
    document: dict[str, Any] = {"policy": entity_to_json("policy", state.policy)}
    for kind, table, _ in KINDS:
        entities = getattr(state, table)
        document[table] = {name: entity_to_json(kind, entities[name]) for name in sorted(entities)}
    return document


def from_document(document: Any) -> State:
    """Build a state from a document of `to_document`; missing tables are empty. Raises InvalidState."""
    try:
        return load_state(list(_entities(document)))
    except (msgspec.ValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidState(f"no state document: {error}") from error


def entity_to_json(kind: str, entity: Any) -> dict[str, Any]:
    """Return one entity with its maps as objects; JSON keys are text, indexes in decimal digits."""
    plain: dict[str, Any] = _with_maps(msgspec.to_builtins(entity))
    if kind == "failure":
        return {field: value for field, value in plain.items() if field not in _KEYED_OUTSIDE}
    return plain


def change_to_json(change: Change) -> dict[str, Any]:
    """Return one change; attributes of transitions that do not apply are absent."""
    return {
        "kind": change.kind,
        "name": change.name,
        "op": change.op,
        "before": None if change.before is None else entity_to_json(change.kind, change.before),
        "after": None if change.after is None else entity_to_json(change.kind, change.after),
        "transitions": [
            {name: _with_lists(value) for name, value in msgspec.to_builtins(transition).items() if value is not None}
            for transition in change.transitions
        ],
    }


def _with_maps(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _field_with_maps(name, inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_maps(item) for item in value]
    return value


def _with_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_lists(inner) for name, inner in value.items()}
    return [_with_lists(item) for item in value] if isinstance(value, list | tuple) else value


def _field_with_maps(name: str, value: Any) -> Any:
    if name in _TEXT_MAPS:
        return {pair["name"]: pair["value"] for pair in value}
    if name in _TABLES and not isinstance(value, int):
        key = _TABLES[name]
        return {
            str(row[key]): {field: _field_with_maps(field, inner) for field, inner in row.items() if field != key}
            for row in value
        }
    return _with_maps(value)


def _entities(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    unknown = document.keys() - set(SECTIONS.values())
    if unknown:
        raise InvalidState(f"no state document: it has {', '.join(sorted(unknown))}")
    if "policy" in document:
        yield f"policy/{POLICY_NAME}", msgspec.convert(document["policy"], Policy)
    for kind, table, struct in KINDS:
        for name, plain in document.get(table, {}).items():
            fields = _with_tables(plain)
            if kind == "failure":
                subject, _, of = name.partition("/")
                fields = {"kind": subject, "name": of, **fields}
            yield f"{kind}/{name}", msgspec.convert(fields, struct)


def _with_tables(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _field_with_tables(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_tables(item) for item in value]
    return value


def _field_with_tables(name: str, value: Any) -> Any:
    if name in _TEXT_MAPS:
        return [{"name": key, "value": value[key]} for key in sorted(value)]
    if name == "replicas" and isinstance(value, dict):
        rows = [{"index": int(key), **_with_tables(row)} for key, row in value.items()]
        return sorted(rows, key=lambda row: int(row["index"]))
    if name == "answers":
        return [{"responder": key, **value[key]} for key in sorted(value)]
    return _with_tables(value)
