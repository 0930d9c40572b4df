"""Writers generated from schemas (see `codegen`) for msgspec structs: canonical bytes, one encoding of a value.

An array is one block, an optional field is `["null", T]`, maps are not supported. A writer is one expression that joins
encoded pieces: small numbers and short texts are looked up instead of being encoded again.
"""

import struct as packing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from processor.avro.binding import Attributes, Bound, bind_fields, bind_record, item_annotation, without_none
from processor.avro.codegen import Source
from processor.avro.schema import NESTING_MAX, Schema, SchemaInvalid, Type
from processor.avro.wire import NULL, VALUE, Numbers, OptionalNumbers, OptionalTexts, Texts, encode_bytes

Writer = Callable[[Any], bytes]

END: Final = b"\x00"

NUMBERS: Final = Numbers()
TEXTS: Final = Texts()
_OPTIONAL_NUMBERS: Final = OptionalNumbers()
_OPTIONAL_TEXTS: Final = OptionalTexts()

_REMEMBERED: Final = {"long": "optional_numbers", "string": "optional_texts"}

_Piece = str | bytes
"""An expression of bytes, or the bytes themselves."""


def compile_writer(
    schema: Schema, type_: Type, struct: type, *, prefix: bytes = b"", attributes: Attributes | None = None
) -> Writer:
    """Return a writer of structs as records of the type, each behind `prefix`.

    Raises SchemaInvalid where record and struct disagree.
    """
    definition = _record_of(schema, type_)
    source = _WriterSource(schema, attributes or {}, {})
    return source.compile(prefix, bind_record(definition, struct, attributes or {}), definition["name"])


def compile_partial_writer(schema: Schema, type_: Type, struct: type, constants: Mapping[str, bytes]) -> Writer:
    """Return a writer of structs that hold some of the record's fields: the others are constants, encoded, or null.

    Raises SchemaInvalid when the struct has a field that the record lacks.
    """
    definition = _record_of(schema, type_)
    bound = bind_fields(definition, struct, {})
    return _WriterSource(schema, {}, constants).compile(b"", bound, definition["name"])


def _record_of(schema: Schema, type_: Type) -> dict[str, Any]:
    definition = schema.resolve(type_)
    if not isinstance(definition, dict) or definition["type"] != "record":
        raise SchemaInvalid(f"{schema.name}: not a record: {definition!r}")
    return definition


class _WriterSource:
    def __init__(self, schema: Schema, attributes: Attributes, constants: Mapping[str, bytes]) -> None:
        self._schema = schema
        self._attributes = attributes
        self._constants = constants
        self._source = Source()
        self._names: dict[str, Any] = {
            "numbers": NUMBERS,
            "texts": TEXTS,
            "optional_numbers": _OPTIONAL_NUMBERS,
            "optional_texts": _OPTIONAL_TEXTS,
            "booleans": {False: b"\x00", True: b"\x01"},
            "pack_float": packing.Struct("<f").pack,
            "pack_double": packing.Struct("<d").pack,
            "encode_bytes": encode_bytes,
            "fixed": _fixed,
            "join": b"".join,
        }

    def compile(self, prefix: bytes, bound: tuple[Bound, ...], title: str) -> Writer:
        pieces = [prefix, *(piece for field in bound for piece in self._field("v", field, 0))]
        with self._source.block("def write(v):"):
            self._source.add(f"return {_joined(pieces)}")
        return self._source.compile("write", f"writer of {title}", self._names)

    def _field(self, owner: str, field: Bound, level: int) -> list[_Piece]:
        """Return the pieces that together write one field."""
        if field.attribute is not None:
            return self._pieces(field.type_, f"{owner}.{field.attribute}", field.annotation, level)
        if field.name in self._constants:
            return [self._constants[field.name]]
        if not is_optional(self._schema.resolve(field.type_)):
            raise SchemaInvalid(f"{self._schema.name}: nothing holds {field.name}")
        return [NULL]

    def _pieces(self, type_: Type, value: str, annotation: Any, level: int) -> list[_Piece]:
        if level > NESTING_MAX:
            raise SchemaInvalid(f"{self._schema.name} is nested too deep, or contains itself")
        resolved = self._schema.resolve(type_)
        if isinstance(resolved, list):
            return self._optional(resolved, value, annotation, level)
        if isinstance(resolved, str):
            return [_primitive(resolved, value)]
        match resolved["type"]:
            case "record":
                fields = bind_record(resolved, annotation, self._attributes)
                return [piece for field in fields for piece in self._field(value, field, level + 1)]
            case "array":
                return [self._array(resolved["items"], value, annotation, level)]
            case "fixed":
                return [f"fixed({value}, {resolved['size']})"]
            case other:
                raise SchemaInvalid(f"{self._schema.name}: a {other} has no canonical form here")

    def _optional(self, branches: list[Type], value: str, annotation: Any, level: int) -> list[_Piece]:
        if not is_optional(branches):
            raise SchemaInvalid(f"{self._schema.name}: a union here is [null, T], not {branches}")
        remembered = _REMEMBERED.get(str(branches[1]))
        if remembered:
            return [f"{remembered}[{value}]"]
        name = self._source.name("v")
        written = _joined([VALUE, *self._pieces(branches[1], name, without_none(annotation), level + 1)])
        return [f"({NULL!r} if ({name} := {value}) is None else {written})"]

    def _array(self, items: Type, value: str, annotation: Any, level: int) -> str:
        item = self._source.name("v")
        written = _joined(self._pieces(items, item, item_annotation(annotation), level + 1))
        return f"(join((numbers[len({value})], *[{written} for {item} in {value}], {END!r})) if {value} else {END!r})"


def is_optional(type_: Type) -> bool:
    """Tell whether a type is `["null", T]`."""
    return isinstance(type_, list) and len(type_) == 2 and type_[0] == "null"


def _primitive(name: str, value: str) -> _Piece:
    match name:
        case "null":
            return b""
        case "string":
            return f"texts[{value}]"
        case "bytes":
            return f"encode_bytes({value})"
        case "boolean":
            return f"booleans[{value}]"
        case "float" | "double":
            return f"pack_{name}({value})"
        case _:
            return f"numbers[{value}]"


def _joined(pieces: Sequence[_Piece]) -> str:
    """Return one expression; neighbouring constants become one."""
    merged: list[_Piece] = []
    for piece in pieces:
        if isinstance(piece, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += piece
        elif piece != b"":
            merged.append(piece)
    parts = [repr(piece) if isinstance(piece, bytes) else piece for piece in merged]
    if len(parts) < 3:
        return "(" + " + ".join(parts) + ")" if parts else "b''"
    return f"join(({', '.join(parts)}))"


def _fixed(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise ValueError(f"{len(content)} bytes where {size} belong")
    return content
