"""Random record schemas with random data that fits them; and what the reference implementation makes of both."""

import io
import string
from itertools import count
from typing import Any

import fastavro
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from processor.avro.schema import Schema, parse_schema

LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PRIMITIVES: dict[str, SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.one_of(st.integers(-70, 70), LONGS),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=8),
    "string": TEXTS,
}
NAMES = [f"{letter}{index}" for letter in string.ascii_lowercase[:3] for index in range(3)]


@st.composite
def schemas(draw: DrawFn) -> Schema:
    """Draw a record schema; a record that contains itself is among them now and then."""
    numbers = count()
    definition = draw(_records(numbers, depth=3))
    if draw(st.booleans()):
        name = f"{definition['namespace']}.{definition['name']}"
        definition["fields"].append({"name": "itself", "type": ["null", name]})
    return parse_schema(definition)


@st.composite
def _records(draw: DrawFn, numbers: "count[int]", depth: int) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    fields = [{"name": name, "type": draw(_types(numbers, depth - 1))} for name in names]
    return {"type": "record", "name": f"R{next(numbers)}", "namespace": "any", "fields": fields}


@st.composite
def _types(draw: DrawFn, numbers: "count[int]", depth: int) -> Any:  # noqa: PLR0911 - one answer a shape
    shapes = ["primitive", "primitive", "enum", "fixed", "optional"]
    if depth > 0:
        shapes += ["array", "map", "record", "union"]
    match draw(st.sampled_from(shapes)):
        case "primitive":
            return draw(st.sampled_from(list(PRIMITIVES)))
        case "enum":
            return {"type": "enum", "name": f"any.E{next(numbers)}", "symbols": ["A", "B", "C"]}
        case "fixed":
            return {"type": "fixed", "name": f"any.F{next(numbers)}", "size": draw(st.integers(0, 5))}
        case "optional":
            return ["null", draw(st.sampled_from([name for name in PRIMITIVES if name != "null"]))]
        case "array":
            return {"type": "array", "items": draw(_types(numbers, depth - 1))}
        case "map":
            return {"type": "map", "values": draw(_types(numbers, depth - 1))}
        case "record":
            return draw(_records(numbers, depth))
        case _:
            return ["long", "null", "string", "boolean"]


def values(  # noqa: PLR0911 - one answer a type
    schema: Schema, type_: Any = None, depth: int = 3
) -> SearchStrategy[Any]:
    """Return a strategy of plain data that fit the schema."""
    resolved = schema.resolve(schema.parsed if type_ is None else type_)
    if isinstance(resolved, list):
        branches = [branch for branch in resolved if depth > 0 or branch == "null"] or resolved[:1]
        return st.one_of([values(schema, branch, depth - 1) for branch in branches])
    if isinstance(resolved, str):
        return PRIMITIVES[resolved]
    match resolved["type"]:
        case "record":
            return st.fixed_dictionaries(
                {field["name"]: values(schema, field["type"], depth) for field in resolved["fields"]}
            )
        case "array":
            return st.lists(values(schema, resolved["items"], depth), max_size=3)
        case "map":
            return st.dictionaries(TEXTS, values(schema, resolved["values"], depth), max_size=3)
        case "enum":
            return st.sampled_from(resolved["symbols"])
        case _:
            return st.binary(min_size=resolved["size"], max_size=resolved["size"])


def reference_bytes(schema: Schema, data: Any) -> bytes:
    """Return the body that the reference implementation writes."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema.parsed, data)
    return body.getvalue()


def reference_data(schema: Schema, body: bytes) -> Any:
    """Return what the reference implementation reads."""
    return fastavro.schemaless_reader(io.BytesIO(body), schema.parsed, None)


@st.composite
def damaged(draw: DrawFn, body: bytes) -> bytes:
    """Draw the bytes with some of them changed, lost or added."""
    harmed = bytearray(body)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(harmed)))
        match draw(st.sampled_from(["change", "cut", "insert", "remove"])):
            case "change" if place < len(harmed):
                harmed[place] = draw(st.sampled_from([0, 1, 2, 3, 4, 127, 128, 254, 255]))
            case "cut":
                del harmed[place:]
            case "insert":
                harmed[place:place] = draw(st.binary(min_size=1, max_size=11))
            case _:
                del harmed[place : place + 1]
    return bytes(harmed)
