"""The framing of a value: which schema it was written with.

**Single-object encoding** (Avro specification): `C3 01`, the schema's CRC-64-AVRO fingerprint (8 bytes, little-endian),
the body. It is the stored format of entities in etcd and of all output topics, so it outlives releases: a released
schema stays in the catalogue for good, and its fingerprint names it. Another framing, or a change of the fingerprint,
would make all stored states and topics unreadable.

Two more framings are read from the input topics, never written: Confluent's prefix (`00`, id of 4 bytes, big-endian)
and its header `__value_schema_id` (`00` + id, or `01` + GUID of 16 bytes). Their ids need a registry. The header comes
first, as it belongs to a value without a prefix; a value that begins with neither mark is undecodable, never guessed.

Readers may cut off SINGLE_OBJECT_BYTES and splice the body into another record: a body does not depend on its prefix.
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
    """The value's schema is unknown; `code` is that of the dead letter."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def no_registry(_schema_id: SchemaId) -> Schema | None:
    """Return None: there is no registry."""
    return None


def single_object_prefix(schema: Schema) -> bytes:
    """Return the prefix of bodies written with the schema."""
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
