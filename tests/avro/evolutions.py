"""What people do to schemas: random edits of a record's definition, compatible ones and others."""

import copy
from collections.abc import Iterator
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from processor.avro.schema import Schema, parse_schema

NEW_FIELDS: tuple[tuple[Any, Any], ...] = (
    ("long", 7),
    ("string", "new"),
    (["null", "string"], None),
    ({"type": "array", "items": "long"}, []),
)
RETYPED = {
    "int": ("long", "double", "string"),
    "long": ("int", "float", "double", "boolean"),
    "float": ("double", "long"),
    "double": ("float", "string"),
    "string": ("bytes", "long"),
    "bytes": ("string", "boolean"),
    "boolean": ("long", "string"),
    "null": ("string",),
}
EDITS = ("add", "add without default", "remove", "rename", "alias", "retype", "optional", "required", "swap", "named")


@st.composite
def evolved(draw: DrawFn, schema: Schema) -> Schema:
    """Draw a later version of the schema: one to three edits, anywhere in it."""
    definition = copy.deepcopy(dict(schema.definition))
    numbers = count(1)
    for _ in range(draw(st.integers(1, 3))):
        record = draw(st.sampled_from(list(_nodes(definition, "record"))))
        _edit(draw, record, f"new{next(numbers)}")
    return parse_schema(definition)


def _edit(draw: DrawFn, record: dict[str, Any], name: str) -> None:
    fields: list[dict[str, Any]] = record["fields"]
    edit = draw(st.sampled_from(EDITS))
    if edit.startswith("add"):
        type_, default = draw(st.sampled_from(NEW_FIELDS))
        stated = {"name": name, "type": type_} | ({"default": default} if edit == "add" else {})
        fields.insert(draw(st.integers(0, len(fields))), stated)
    elif fields:
        _edit_field(draw, fields, draw(st.sampled_from(fields)), edit, name)


def _edit_field(draw: DrawFn, fields: list[dict[str, Any]], field: dict[str, Any], edit: str, name: str) -> None:
    field.pop("default", None)
    match edit:
        case "remove":
            fields.remove(field)
        case "rename":
            field["name"] = name
        case "alias":
            field.setdefault("aliases", []).append(field["name"])
            field["name"] = name
        case "swap":
            fields.reverse()
        case "named":
            _edit_named(draw, field["type"], name)
        case _:
            field["type"] = _retyped(draw, field["type"], edit)


def _retyped(draw: DrawFn, type_: Any, edit: str) -> Any:
    match edit, type_:
        case "optional", str() | dict() if type_ != "null":
            return ["null", type_]
        case "required", ["null", inner] if inner in list(RETYPED):  # no record may contain itself without end
            return inner
        case "retype", str() if type_ in RETYPED:
            return draw(st.sampled_from(RETYPED[type_]))
        case "retype", {"type": "array" | "map" as kind}:
            key = "items" if kind == "array" else "values"
            return {"type": kind, key: _retyped(draw, type_[key], edit)}
        case _:
            return type_


def _edit_named(draw: DrawFn, type_: Any, name: str) -> None:
    named = [*_nodes(type_, "enum"), *_nodes(type_, "fixed"), *_nodes(type_, "record")]
    if not named:
        return
    node = draw(st.sampled_from(named))
    if node["type"] == "fixed" and draw(st.booleans()):
        node["size"] += 1
    elif node["type"] == "enum" and draw(st.booleans()):
        node["symbols"] = draw(st.sampled_from([["A", "B", "C", "D"], ["A", "B"]]))
        if draw(st.booleans()):
            node["default"] = "A"
    else:
        if draw(st.booleans()):
            node["aliases"] = [f"any.{node['name'].rpartition('.')[2]}"]
        node["name"] = f"any.{name.upper()}"


def _nodes(type_: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Yield every definition of this kind in the type, itself included."""
    if isinstance(type_, list):
        for branch in type_:
            yield from _nodes(branch, kind)
    elif isinstance(type_, dict):
        if type_["type"] == kind:
            yield type_
        for inner in ("items", "values"):
            if inner in type_:
                yield from _nodes(type_[inner], kind)
        for field in type_.get("fields", ()):
            yield from _nodes(field["type"], kind)


SAMPLES: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "int": 1,
    "long": 1 << 40,
    "float": 0.5,
    "double": 0.1,
    "bytes": b"text",
    "string": "text",
}


def covering(  # noqa: PLR0911 - one answer a type
    schema: Schema, type_: Any = None, depth: int = 4
) -> list[Any]:
    """Return data that between them take every branch, every symbol, and an item of everything that has items."""
    resolved = schema.resolve(schema.parsed if type_ is None else type_)
    if isinstance(resolved, list):
        branches = [branch for branch in resolved if depth > 0 or branch == "null"]
        return [data for branch in branches for data in covering(schema, branch, depth - 1)]
    if isinstance(resolved, str):
        return [SAMPLES[resolved]]
    match resolved["type"]:
        case "record":
            return _covering_records(schema, resolved, depth)
        case "array":
            return [[], *([data] for data in covering(schema, resolved["items"], depth))]
        case "map":
            return [{}, *({"key": data} for data in covering(schema, resolved["values"], depth))]
        case "enum":
            return list(resolved["symbols"])
        case _:
            return [bytes(resolved["size"])]


def _covering_records(schema: Schema, definition: dict[str, Any], depth: int) -> list[Any]:
    parts = {field["name"]: covering(schema, field["type"], depth) for field in definition["fields"]}
    size = max(map(len, parts.values()), default=1)
    return [{name: data[place % len(data)] for name, data in parts.items()} for place in range(size)]
