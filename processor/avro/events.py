"""An event's value as plain data, from any schema version, before the border checks."""

from typing import Any, Final

import msgspec

from processor.avro.reading import PlainShape, Reader, compile_reader
from processor.avro.resolution import resolve
from processor.avro.schema import Schema
from processor.avro.wire import Malformed

JSON_DEPTH_MAX: Final = 32

Data = dict[str, Any]


class EventShape(PlainShape):
    """Dictionaries in which null means absent: an optional field has a default where events are checked."""

    def record(self, definition: dict[str, Any], values: dict[str, str], names: dict[str, Any]) -> str:
        """Return a dictionary of the fields that are not null."""
        whole = super().record(definition, values, names)
        if not any(_is_optional(field["type"]) for field in definition["fields"]):
            return whole
        names["without_nulls"] = without_nulls
        return f"without_nulls({whole})"


def _is_optional(type_: Any) -> bool:
    return isinstance(type_, list) and "null" in type_


def without_nulls(data: Data) -> Data:
    """Return the entries that are not null."""
    return {name: value for name, value in data.items() if value is not None}


def compile_event_reader(writer: Schema, reader: Schema) -> Reader:
    """Return what reads values of `writer` as data of `reader`; `explain` its refusals.

    Raises SchemaInvalid when `writer` is too deep for a reader.
    """
    read = compile_reader(writer, EventShape())
    if writer.canonical == reader.canonical:
        return read

    def read_resolved(value: bytes, start: int) -> Data:
        read(value, start)
        data: Data = _deep_without_nulls(resolve(value[start:], writer, reader))
        return data

    return read_resolved


def _deep_without_nulls(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _deep_without_nulls(value) for name, value in data.items() if value is not None}
    if isinstance(data, list):
        return [_deep_without_nulls(item) for item in data]
    return data


def read_json(value: bytes) -> Any:
    """Return the JSON document. Raises Malformed, also where it nests deeper than 32."""
    try:
        document = msgspec.json.decode(value)
    except RecursionError:
        raise Malformed(f"JSON nested more than {JSON_DEPTH_MAX} deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"no JSON: {error}") from error
    _check_depth(document)
    return document


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(JSON_DEPTH_MAX + 1):
        level = [inner for outer in level if isinstance(outer, (dict, list)) for inner in _members(outer)]
        if not level:
            return
    raise Malformed(f"JSON nested more than {JSON_DEPTH_MAX} deep")


def _members(container: dict[str, Any] | list[Any]) -> list[Any]:
    return list(container.values()) if isinstance(container, dict) else container
