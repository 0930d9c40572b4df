"""From a record to a checked event: framing, schema, bytes, then the state machine's own border checks."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from processor.avro.catalogue import Catalogue
from processor.avro.envelope import HEADERS_MAX, UNKNOWN_TYPE, Headers, cause_of, exceeds, is_json, stated_type
from processor.avro.events import compile_event_reader, read_json
from processor.avro.framing import (
    SCHEMA_ID_HEADER,
    SINGLE_OBJECT_BYTES,
    ResolveId,
    Unframed,
    no_registry,
    read_framing,
    read_single_object,
    single_object_prefix,
)
from processor.avro.guard import VALUE_BYTES_MAX
from processor.avro.reading import REFUSALS, Reader
from processor.avro.resolution import explain
from processor.avro.schema import Schema, SchemaInvalid
from processor.avro.wire import Malformed, cut_text
from processor.engine.inputs import Accepted, Decoded, Invalid, Record, Undecodable

Parse = Callable[[str, int, Any], Any]
"""(record name, at_ms, plain data) → the state machine's event; raises its own class for what its border refuses."""

MESSAGE_BYTES_MAX: Final = 1024


class _Plan(msgspec.Struct, frozen=True):
    """The reader of one writer schema."""

    event_type: str
    writer: Schema
    read: Reader


class AvroEventDecoder:
    """Implements EventDecoder for the current records of one namespace.

    `parse` and `invalid` come from the state machine. Plain data from Avro holds no nulls: null is absent.
    `parse_json` takes the place of `parse` for JSON, whose nulls stay.
    """

    def __init__(  # noqa: PLR0913 - each is a part handed in, those with a default by keyword
        self,
        catalogue: Catalogue,
        parse: Parse,
        invalid: type[Exception],
        *,
        parse_json: Parse | None = None,
        namespace: str = "processor.events",
        value_bytes_max: int = VALUE_BYTES_MAX,
        resolve_id: ResolveId = no_registry,
    ) -> None:
        self._catalogue = catalogue
        self._parse = parse
        self._parse_json = parse_json or parse
        self._invalid = invalid
        self._namespace = namespace
        self._value_bytes_max = value_bytes_max
        self._too_large = f"more than {value_bytes_max} bytes with key and headers, or {HEADERS_MAX} headers"
        self._resolve_id = resolve_id
        self._events = catalogue.namespace(namespace)
        self._planned: dict[bytes, _Plan] = {}

    def decode(self, record: Record) -> Decoded:
        """Decode and validate one record; never raises, whatever its bytes are."""
        headers: Headers = dict(record.headers)
        try:
            event_type, data, parse = self._read(record, headers)
        except _Refused as refused:
            return self._undecodable(record, headers, refused)
        cause = cause_of(record, headers, event_type)
        if type(data) is not dict:
            return Invalid(cause, "the data is no JSON object")
        try:
            event = parse(event_type, record.timestamp_ms, data)
        except self._invalid as error:
            return Invalid(cause, cut_text(str(error), MESSAGE_BYTES_MAX))
        return Accepted(cause, event)

    def identify(self, record: Record) -> Undecodable:
        """Return the record's cause; its value is not decoded. The code is empty, `too_large` if it never will be."""
        headers: Headers = dict(record.headers)
        cause = cause_of(record, headers, self._guessed_type(record, headers))
        code, message = ("too_large", self._too_large) if exceeds(record, self._value_bytes_max) else ("", "")
        return Undecodable(cause, code, message)

    def _read(self, record: Record, headers: Headers) -> tuple[str, Any, Parse]:
        """Return record name, plain data and what checks them. Raises _Refused."""
        value = record.value
        if exceeds(record, self._value_bytes_max):
            raise _Refused("too_large", self._too_large)
        if value is None:
            raise _Refused("undecodable", "the value is null")
        if record.timestamp_ms < 0:
            raise _Refused("undecodable", "the record has no timestamp")
        if headers and is_json(headers):
            return self._read_json(value, headers)
        plan, start = self._planned.get(value[:SINGLE_OBJECT_BYTES]), SINGLE_OBJECT_BYTES
        if plan is None or SCHEMA_ID_HEADER in headers:
            plan, start = self._plan(value, headers)
        try:
            return plan.event_type, plan.read(value, start), self._parse
        except REFUSALS as error:
            reason = explain(plan.writer, value, start, error)
            raise _Refused("undecodable", reason, error, event_type=plan.event_type) from error

    def _plan(self, value: bytes, headers: Headers) -> tuple[_Plan, int]:
        """Return how the value is read and where its body starts. Raises _Refused."""
        try:
            schema, start = self._framing(value, headers)
        except Unframed as unframed:
            raise _Refused(unframed.code, str(unframed)) from unframed
        prefix = single_object_prefix(schema)
        if prefix not in self._planned:
            self._planned[prefix] = self._make_plan(schema)
        return self._planned[prefix], start

    def _make_plan(self, schema: Schema) -> _Plan:
        current = self._events.get(schema.short_name)
        if current is None or schema.namespace != self._namespace:
            raise _Refused("unknown_type", f"{schema.name} is no event", event_type=schema.short_name)
        try:
            return _Plan(schema.short_name, schema, compile_event_reader(schema, current))
        except SchemaInvalid as error:
            raise _Refused("unknown_schema", str(error), error, event_type=schema.short_name) from error

    def _framing(self, value: bytes, headers: Headers) -> tuple[Schema, int]:
        return read_framing(value, headers.get(SCHEMA_ID_HEADER), self._catalogue, self._resolve_id)

    def _read_json(self, value: bytes, headers: Headers) -> tuple[str, Any, Parse]:
        event_type = stated_type(headers, self._namespace)
        if event_type not in self._events:
            reason = f"ce_type {event_type!r} is no event" if event_type else "JSON without ce_type"
            raise _Refused("unknown_type", reason)
        try:
            return event_type, read_json(value), self._parse_json
        except Malformed as malformed:
            raise _Refused("undecodable", str(malformed), malformed) from malformed

    def _undecodable(self, record: Record, headers: Headers, refused: "_Refused") -> Undecodable:
        event_type = refused.event_type or self._guessed_type(record, headers)
        exception = type(refused.cause).__name__ if refused.cause else ""
        message = cut_text(str(refused), MESSAGE_BYTES_MAX)
        return Undecodable(cause_of(record, headers, event_type), refused.code, message, exception)

    def _guessed_type(self, record: Record, headers: Headers) -> str:
        stated = stated_type(headers, self._namespace)
        if stated or record.value is None:
            return stated or UNKNOWN_TYPE
        try:
            return read_single_object(record.value, self._catalogue).short_name
        except Unframed:
            return UNKNOWN_TYPE


class _Refused(Exception):
    """The record becomes a dead letter of this code."""

    def __init__(self, code: str, message: str, cause: Exception | None = None, *, event_type: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.cause = cause
        self.event_type = event_type
