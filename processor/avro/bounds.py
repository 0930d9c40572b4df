"""Upper bounds of encoded sizes, much cheaper than encoding.

A batch is cut before anything is encoded, so its size in the store has to be bounded first: an entity that grows above
its limit is rejected, not stored. MessagePack with field names is an upper bound of Avro's size: a name costs two bytes
or more, while a number (one byte more in Avro from 64 to 127) and an optional value (one more) each need at most one
byte beyond MessagePack. That does not hold for arrays of bare numbers, so `is_bounded` excludes such schemas, and
entities of the others are encoded instead. The engine's `Encoder` port relies on bounds never being too small.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from operator import attrgetter, is_not
from typing import Any, Final

import msgspec

from processor.avro.framing import SINGLE_OBJECT_BYTES
from processor.avro.schema import Schema, Type

BARE_BYTES: Final = 2
"""Bytes by which Avro may exceed MessagePack for a value without a name."""
ARRAY_BYTES: Final = 10
"""Bytes by which the count and the end of an array may grow."""
TEXTUAL: Final = ("string", "bytes")

_pack = msgspec.msgpack.Encoder().encode


def size_bound(entity: Any) -> int:
    """Return an upper bound of the stored size of an entity, in bytes."""
    return SINGLE_OBJECT_BYTES + len(_pack(entity))


def growth_bound(old: Any, new: Any) -> int:
    """Return an upper bound of the bytes by which `new` exceeds `old`; takes time for what differs only."""
    if new is old:
        return 0
    if isinstance(new, tuple) and isinstance(old, tuple):
        more = len(_pack(new[len(old) :])) if len(new) > len(old) else 0
        return ARRAY_BYTES + more + _differences(old, new)
    if isinstance(new, msgspec.Struct) and type(new) is type(old):
        fields = _FIELDS[type(new)]
        return _differences(fields(old), fields(new))
    return BARE_BYTES + len(_pack(new))


def _differences(old: Sequence[Any], new: Sequence[Any]) -> int:
    differing = compress(zip(old, new, strict=False), map(is_not, old, new))
    return sum([growth_bound(one, other) for one, other in differing])


class _Fields(dict[type, Callable[[Any], tuple[Any, ...]]]):
    """Struct → function that returns the values of its fields."""

    def __missing__(self, struct: Any) -> Callable[[Any], tuple[Any, ...]]:
        names = struct.__struct_fields__
        found = self[struct] = attrgetter(*names) if len(names) > 1 else msgspec.structs.astuple
        return found


_FIELDS: Final = _Fields()


def is_bounded(schema: Schema, structs: Iterable[type]) -> bool:
    """Tell whether these bounds hold for a schema and the structs of its records."""
    plain = all(not (one.array_like or one.omit_defaults) for one in map(_configuration, structs))
    return plain and _is_named(schema, schema.parsed)


def _configuration(struct: Any) -> Any:
    return struct.__struct_config__


def _is_named(schema: Schema, type_: Type) -> bool:
    resolved = schema.resolve(type_)
    if isinstance(resolved, list):
        return all(_is_named(schema, branch) for branch in resolved)
    if isinstance(resolved, str):
        return True
    if resolved["type"] == "array":
        items = schema.resolve(resolved["items"])
        is_record = isinstance(items, dict) and items["type"] == "record"
        return (is_record or items in TEXTUAL) and _is_named(schema, items)
    return all(_is_named(schema, field["type"]) for field in resolved.get("fields", ()))
