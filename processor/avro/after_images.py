"""The entity after a change, read from its announcement."""

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.avro.catalogue import Catalogue
from processor.avro.framing import SINGLE_OBJECT_BYTES, read_single_object
from processor.avro.reading import REFUSALS, PlainShape, Reader, compile_reader
from processor.avro.resolution import explain, resolve
from processor.avro.schema import Schema
from processor.avro.wire import Malformed


class AfterImages:
    """Reads `after` of a change, in whatever released version it was written; `entity_types` is kind → struct."""

    def __init__(self, catalogue: Catalogue, entity_types: Mapping[str, type]) -> None:
        self._catalogue = catalogue
        self._types = entity_types
        self._checks: dict[bytes, Reader] = {}

    def read(self, kind: str, value: bytes) -> Any:
        """Return the entity after a change, None when it was removed. Raises Unframed, Malformed."""
        writer = read_single_object(value, self._catalogue)
        self._check(writer, value)
        current = self._catalogue.require(writer.name)
        change = resolve(value[SINGLE_OBJECT_BYTES:], writer, current)
        after = change.get("after")
        if after is None:
            if change.get("op") != "d":
                raise Malformed(f"{writer.name}: it leaves out what the entity became, which was too large to announce")
            return None
        if kind not in self._types:
            raise Malformed(f"{writer.name}: this build knows no kind of entity called {kind!r}")
        try:
            return msgspec.convert(after, self._types[kind])
        except msgspec.ValidationError as error:
            raise Malformed(f"{writer.name}: {error}") from error

    def _check(self, writer: Schema, value: bytes) -> None:
        """Refuse bytes that are not of the schema; reading them as another version would accept some."""
        if writer.fingerprint not in self._checks:
            self._checks[writer.fingerprint] = compile_reader(writer, PlainShape())
        try:
            self._checks[writer.fingerprint](value, SINGLE_OBJECT_BYTES)
        except REFUSALS as error:
            raise Malformed(explain(writer, value, SINGLE_OBJECT_BYTES, error)) from error
