"""Any record of the catalogue as plain data, for tools that need no state machine."""

import io
from typing import Any

import fastavro

from processor.avro.catalogue import Catalogue
from processor.avro.framing import SINGLE_OBJECT_BYTES, read_single_object, single_object_prefix
from processor.avro.reading import REFUSALS, PlainShape, Reader, compile_reader
from processor.avro.resolution import explain
from processor.avro.schema import Schema
from processor.avro.wire import Malformed


class RecordCodec:
    """Reads and writes single-object values as dictionaries with every field, as the schemas name them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._readers: dict[bytes, Reader] = {}

    def decode_record(self, value: bytes) -> tuple[str, dict[str, Any]]:
        """Return full record name and data, in the version it was written with.

        Nulls stay, bytes stay bytes. Raises Unframed for an unknown schema, Malformed for bytes that are not its.
        """
        writer = read_single_object(value, self._catalogue)
        if writer.fingerprint not in self._readers:
            self._readers[writer.fingerprint] = compile_reader(writer, PlainShape())
        try:
            data: dict[str, Any] = self._readers[writer.fingerprint](value, SINGLE_OBJECT_BYTES)
        except REFUSALS as error:
            raise Malformed(explain(writer, value, SINGLE_OBJECT_BYTES, error)) from error
        return writer.name, data

    def encode_record(self, schema: Schema, data: dict[str, Any]) -> bytes:
        """Return data as a single-object value; fields left out get their defaults.

        Raises Malformed for data that does not fit exactly: unknown fields, 1.0 or true where a number belongs.
        """
        body = io.BytesIO()
        try:
            fastavro.schemaless_writer(body, schema.parsed, data, strict_allow_default=True)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise Malformed(f"{schema.name}: {error}") from error
        value = single_object_prefix(schema) + body.getvalue()
        _, written = self.decode_record(value)
        if not _agrees(data, written):
            raise Malformed(f"{schema.name}: a value is of another type than its field")
        return value


def _agrees(given: Any, written: Any) -> bool:
    # fastavro writes 1.5 and true as 1, and a text as an array of its characters
    if isinstance(given, dict) and isinstance(written, dict):
        return all(_agrees(value, written[name]) for name, value in given.items())
    if isinstance(given, list | tuple) and isinstance(written, list):
        return all(_agrees(*pair) for pair in zip(given, written, strict=True))
    return type(given) is type(written) and bool(given == written)
