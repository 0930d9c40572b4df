"""Ties record schemas to msgspec structs: the same fields in the same order, all the way down."""

import types
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from processor.avro.schema import Schema, SchemaInvalid, Type

Attributes = Mapping[str, str]
"""Field name in the schema → attribute of the struct, where they differ."""


class Bound(msgspec.Struct, frozen=True):
    """A field of a record schema and the struct's `attribute` that holds it, None where it has none."""

    name: str
    type_: Type
    attribute: str | None
    annotation: Any


def bind_record(definition: Mapping[str, Any], struct: type, attributes: Attributes) -> tuple[Bound, ...]:
    """Return the record's fields with the struct's attributes: the same names, the same order. Raises SchemaInvalid."""
    bound = bind_fields(definition, struct, attributes)
    held = [field.attribute for field in bound]
    stated = [field.name for field in msgspec.structs.fields(struct)]
    if held != stated:
        raise SchemaInvalid(f"{definition['name']}: held by {held}, but {struct.__name__} has {stated}")
    return bound


def bind_fields(definition: Mapping[str, Any], struct: type, attributes: Attributes) -> tuple[Bound, ...]:
    """Return the record's fields with the struct's attributes, where it has them.

    Raises SchemaInvalid when the struct has one that the record lacks.
    """
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        raise SchemaInvalid(f"{definition['name']} needs a msgspec struct, not {struct!r}")
    hints = typing.get_type_hints(struct)
    held = {field.encode_name: field.name for field in msgspec.structs.fields(struct)}
    held |= {name: attribute for name, attribute in attributes.items() if attribute in hints}
    bound = []
    for field in definition["fields"]:
        attribute = held.get(field["name"])
        bound.append(Bound(field["name"], field["type"], attribute, hints.get(attribute or "")))
    foreign = set(held.values()) - {field.attribute for field in bound}
    if foreign:
        raise SchemaInvalid(f"{definition['name']} has no {', '.join(sorted(foreign))}, which {struct.__name__} has")
    return tuple(bound)


def item_annotation(annotation: Any) -> Any:
    """Return the `T` of `tuple[T, ...]`. Raises SchemaInvalid for anything else."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is not tuple or len(arguments) != 2 or arguments[1] is not Ellipsis:
        raise SchemaInvalid(f"an array is held by a tuple of any length, not by {annotation!r}")
    return arguments[0]


def without_none(annotation: Any) -> Any:
    """Return the `T` of `T | None`, or the annotation itself."""
    arguments = typing.get_args(annotation)
    rest = [part for part in arguments if part is not types.NoneType]
    return rest[0] if types.NoneType in arguments and len(rest) == 1 else annotation


def bound_structs(schema: Schema, struct: type) -> dict[str, type]:
    """Return record name → struct for the schema and everything in it. Raises SchemaInvalid where they disagree."""
    found: dict[str, type] = {}
    waiting: list[tuple[Type, Any]] = [(schema.parsed, struct)]
    while waiting:
        type_, annotation = waiting.pop()
        resolved = schema.resolve(type_)
        if isinstance(resolved, list):
            waiting += [(branch, without_none(annotation)) for branch in resolved if branch != "null"]
        elif isinstance(resolved, dict) and resolved["type"] == "array":
            waiting.append((resolved["items"], item_annotation(annotation)))
        elif isinstance(resolved, dict) and resolved["type"] == "record":
            if found.setdefault(resolved["name"], annotation) is not annotation:
                raise SchemaInvalid(f"{resolved['name']} is held by two structs")
            waiting += [(field.type_, field.annotation) for field in bind_record(resolved, annotation, {})]
    return found
