"""Announcements of changes, which splice stored entities in, and of rejections."""

from collections.abc import Sequence
from typing import Any, Final

from processor.avro.framing import SINGLE_OBJECT_BYTES, single_object_prefix
from processor.avro.schema import Schema, SchemaInvalid, Type
from processor.avro.wire import NULL, VALUE, cut_text, encode_long, encode_text
from processor.avro.writing import (
    END,
    NUMBERS,
    TEXTS,
    Writer,
    compile_partial_writer,
    compile_writer,
    is_optional,
)
from processor.engine.announcements import Announcement, ChangeSource, EventRejection
from processor.engine.machine import Change

MESSAGE_BYTES_MAX: Final = 1024
"""Of a rejection's message, in UTF-8."""

OPERATIONS: Final = {"create": encode_text("c"), "update": encode_text("u"), "delete": encode_text("d")}
_ABSENT: Final = (NULL,)

CHANGE_FIELDS: Final = "op before after transitions source ts_ms"
REJECTION_FIELDS: Final = "event_id event_type code message topic partition offset source ts_ms"


class ChangeWriter:
    """Announces changes of one kind. Raises SchemaInvalid unless the entity in the schema equals `entity`."""

    def __init__(self, schema: Schema, entity: Schema) -> None:
        fields = _fields(schema, CHANGE_FIELDS)
        for side in ("before", "after"):
            _assert_spliceable(schema, fields[side], entity)
        transitions = schema.resolve(fields["transitions"])
        if not isinstance(transitions, dict) or transitions["type"] != "array":
            raise SchemaInvalid(f"{schema.name}: transitions are no array")
        self._name = schema.name
        self._prefix = single_object_prefix(schema)
        self._write_source = compile_writer(schema, fields["source"], ChangeSource)
        self._transitions = TransitionWriters(schema, transitions["items"])

    def write(
        self, change: Change, before: bytes | None, after: bytes | None, source: ChangeSource, ts_ms: int
    ) -> Announcement:
        """Return the announcement; `before` and `after` are stored values, spliced in as they are."""
        value = b"".join(
            (
                self._prefix,
                OPERATIONS[change.op],
                *(_ABSENT if before is None else (VALUE, before[SINGLE_OBJECT_BYTES:])),
                *(_ABSENT if after is None else (VALUE, after[SINGLE_OBJECT_BYTES:])),
                *self._array(change.transitions),
                self._write_source(source),
                NUMBERS[ts_ms],
            )
        )
        return Announcement(change.key, self._name, value)

    def _array(self, transitions: Sequence[Any]) -> Sequence[bytes]:
        if not transitions:
            return (END,)
        writers = self._transitions
        written = [writers[type(transition)](transition) for transition in transitions]
        return (NUMBERS[len(written)], *written, END)


class TransitionWriters(dict[type, Writer]):
    """Struct → its writer, made at first use. Its type is the struct's field `type`, else its tag, else its name."""

    def __init__(self, schema: Schema, type_: Type) -> None:
        super().__init__()
        self._schema = schema
        self._type = type_

    def __missing__(self, struct: type) -> Writer:
        configuration = getattr(struct, "__struct_config__", None)
        tag = configuration.tag if configuration is not None else None
        constants = {"type": encode_text(str(tag or struct.__name__))}
        writer = self[struct] = compile_partial_writer(self._schema, self._type, struct, constants)
        return writer


class RejectionWriter:
    """Announces rejections."""

    def __init__(self, schema: Schema) -> None:
        fields = _fields(schema, REJECTION_FIELDS)
        self._name = schema.name
        self._prefix = single_object_prefix(schema)
        self._write_source = compile_writer(schema, fields["source"], ChangeSource)

    def write(self, rejection: EventRejection, source: ChangeSource, ts_ms: int) -> Announcement:
        """Return the announcement; its message is cut."""
        cause = rejection.cause
        value = b"".join(
            (
                self._prefix,
                encode_text(cause.event_id),
                TEXTS[cause.event_type],
                TEXTS[rejection.code],
                encode_text(cut_text(rejection.message, MESSAGE_BYTES_MAX)),
                TEXTS[cause.topic],
                NUMBERS[cause.partition],
                encode_long(cause.offset),
                self._write_source(source),
                NUMBERS[ts_ms],
            )
        )
        return Announcement(f"rejected/{cause.event_id}", self._name, value)


def _fields(schema: Schema, expected: str) -> dict[str, Type]:
    fields = {field["name"]: field["type"] for field in schema.parsed["fields"]}
    if " ".join(fields) != expected:
        raise SchemaInvalid(f"{schema.name} has the fields {' '.join(fields)}, not {expected}")
    return fields


def _assert_spliceable(schema: Schema, type_: Type, entity: Schema) -> None:
    branches = schema.resolve(type_)
    if not isinstance(branches, list) or not is_optional(branches):
        raise SchemaInvalid(f"{schema.name}: an entity stands there as [null, entity]")
    if schema.canonical_part(branches[1]) != entity.canonical:
        raise SchemaInvalid(f"{schema.name}: the entity in it differs from {entity.name}")
