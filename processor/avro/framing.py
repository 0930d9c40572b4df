"""How a value says which schema it was written with.

Single-object encoding (`C3 01`, fingerprint) is read and written; Confluent's prefix (`00`, id of 4 bytes) and its
header `__value_schema_id` (`00` + id, or `01` + GUID) are read.
"""

from collections.abc import Callable
from typing import Final

from processor.avro.catalogue import Catalogue
from processor.avro.schema import Schema

SINGLE_OBJECT: Final = b"\xc3\x01"
SINGLE_OBJECT_BYTES: Final = 10
SCHEMA_ID_HEADER: Final = "__value_schema_id"

_ID_MAGIC: Final = 0
_GUID_MAGIC: Final = 1
_ID_BYTES: Final = 5
_GUID_BYTES: Final = 17

SchemaId = int | bytes
"""A registry's id: a number, or the 16 bytes of a GUID."""

ResolveId = Callable[[SchemaId], Schema | None]
"""Ask the registry for a schema; None: it has none with this id. May raise Retry: ask again later."""


class Unframed(Exception):
    """The value's schema cannot be told; `code` is the dead letter's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def no_registry(_schema_id: SchemaId) -> Schema | None:
    """Know no schema by id: there is no registry."""
    return None


def single_object_prefix(schema: Schema) -> bytes:
    """Return the bytes before a body written with the schema."""
    return SINGLE_OBJECT + schema.fingerprint


def read_single_object(value: bytes, catalogue: Catalogue) -> Schema:
    """Return the schema of a single-object value; its body starts at `SINGLE_OBJECT_BYTES`. Raises Unframed."""
    if len(value) < SINGLE_OBJECT_BYTES or not value.startswith(SINGLE_OBJECT):
        raise Unframed("undecodable", f"no single-object encoding: {_beginning(value)}")
    fingerprint = value[2:SINGLE_OBJECT_BYTES]
    schema = catalogue.schema_of(fingerprint)
    if schema is None:
        raise Unframed("unknown_schema", f"no schema has the fingerprint {fingerprint.hex()}")
    return schema


def read_framing(
    value: bytes, schema_id_header: bytes | None, catalogue: Catalogue, resolve_id: ResolveId
) -> tuple[Schema, int]:
    """Return the schema that a value was written with and where its body starts. Raises Unframed."""
    if schema_id_header is not None:
        return _resolve(_header_id(schema_id_header), resolve_id), 0
    if value.startswith(SINGLE_OBJECT):
        return read_single_object(value, catalogue), SINGLE_OBJECT_BYTES
    if len(value) >= _ID_BYTES and value[0] == _ID_MAGIC:
        return _resolve(int.from_bytes(value[1:_ID_BYTES], "big"), resolve_id), _ID_BYTES
    raise Unframed("undecodable", f"no known framing: {_beginning(value)}")


def _header_id(header: bytes) -> SchemaId:
    if len(header) == _ID_BYTES and header[0] == _ID_MAGIC:
        return int.from_bytes(header[1:], "big")
    if len(header) == _GUID_BYTES and header[0] == _GUID_MAGIC:
        return header[1:]
    raise Unframed("undecodable", f"header {SCHEMA_ID_HEADER} is malformed: {_beginning(header)}")


def _resolve(schema_id: SchemaId, resolve_id: ResolveId) -> Schema:
    schema = resolve_id(schema_id)
    if schema is None:
        shown = schema_id if isinstance(schema_id, int) else schema_id.hex()
        raise Unframed("unknown_schema", f"no schema registry knows the schema id {shown}")
    return schema


def _beginning(value: bytes) -> str:
    shown = value[:SINGLE_OBJECT_BYTES].hex(" ") or "empty"
    return f"{shown} ({len(value)} bytes)"
