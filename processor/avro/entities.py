"""Entities of one kind to bytes, and back from any schema version in the catalogue."""

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.avro.binding import bound_structs
from processor.avro.catalogue import Catalogue
from processor.avro.framing import SINGLE_OBJECT_BYTES, read_single_object, single_object_prefix
from processor.avro.reading import REFUSALS, PlainShape, Reader, compile_reader
from processor.avro.resolution import explain, resolve
from processor.avro.schema import Schema
from processor.avro.wire import Malformed
from processor.avro.writing import compile_writer


class StructShape:
    """Entities: structs with tuples."""

    def __init__(self, structs: Mapping[str, type]) -> None:
        self._structs = structs

    def record(self, definition: dict[str, Any], values: dict[str, str], names: dict[str, Any]) -> str:
        """Return a call of the record's struct."""
        call = "struct_" + definition["name"].replace(".", "_")
        names[call] = self._structs[definition["name"]]
        return f"{call}({', '.join(values.values())})"

    def array(self, items: str) -> str:
        """Return a tuple of the list."""
        return f"tuple({items})"


class EntityCodec:
    """Writes entities with the current schema. Raises SchemaInvalid when the struct is not of its shape."""

    def __init__(self, catalogue: Catalogue, schema: Schema, struct: type) -> None:
        self.schema = schema
        self.struct = struct
        self.prefix = single_object_prefix(schema)
        self.write = compile_writer(schema, schema.parsed, struct, prefix=self.prefix)
        self._catalogue = catalogue
        self._read = compile_reader(schema, StructShape(bound_structs(schema, struct)))
        self._older: dict[bytes, Reader] = {}

    def read(self, value: bytes) -> Any:
        """Return the entity of a single-object value. Raises Unframed, Malformed."""
        writer = read_single_object(value, self._catalogue)
        read = self._read if writer.canonical == self.schema.canonical else self._reader_of(writer)
        try:
            return read(value, SINGLE_OBJECT_BYTES)
        except REFUSALS as error:
            raise Malformed(explain(writer, value, SINGLE_OBJECT_BYTES, error)) from error

    def _reader_of(self, writer: Schema) -> Reader:
        if writer.name != self.schema.name:
            raise Malformed(f"it is a {writer.name}, not a {self.schema.name}")
        if writer.fingerprint not in self._older:
            self._older[writer.fingerprint] = self._make_reader(writer)
        return self._older[writer.fingerprint]

    def _make_reader(self, writer: Schema) -> Reader:
        check_bytes = compile_reader(writer, PlainShape())

        def read(value: bytes, start: int) -> Any:
            check_bytes(value, start)
            return msgspec.convert(resolve(value[start:], writer, self.schema), self.struct)

        return read
