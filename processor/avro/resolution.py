"""Values of another schema version, and explanations of refused values: the slow paths beside generated readers."""

import io
from typing import Any, Final

import fastavro
from fastavro.read import SchemaResolutionError

from processor.avro.guard import check
from processor.avro.schema import Schema
from processor.avro.wire import Malformed

EXPLAINED_BYTES_MAX: Final = 16 * 1024
"""An explanation costs microseconds a byte: a large value must not cost seconds."""


def resolve(body: bytes, writer: Schema, reader: Schema) -> Any:
    """Return a body of `writer` that a reader has accepted as data of `reader`.

    Fields that it lacks get their defaults, others are dropped. Raises Malformed when the two do not match.
    """
    try:
        return fastavro.schemaless_reader(io.BytesIO(body), writer.parsed, reader.parsed)
    # ValueError: bytes that became text and are no UTF-8. KeyError: two fields that are read as one, by an alias.
    except (SchemaResolutionError, ValueError, KeyError) as error:
        raise Malformed(f"{writer.name} as written cannot be read as it is now: {error}") from error


def explain(writer: Schema, value: bytes, start: int, refusal: Exception) -> str:
    """Return why a reader of `writer` refused the value: the field and the byte, for large ones its own word."""
    if len(value) > EXPLAINED_BYTES_MAX:
        return f"{writer.name}: {refusal}"
    try:
        check(writer, value, start)
    except Malformed as malformed:
        return str(malformed)
    return str(refusal)
