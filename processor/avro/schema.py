"""One Avro schema: its name, its fingerprint, and its types with resolvable references."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import fastavro
import msgspec
from fastavro.schema import SchemaParseException, UnknownType, fingerprint, to_parsing_canonical_form

from processor.engine.errors import InvalidRequest

Type = str | list[Any] | dict[str, Any]
"""A primitive's or named type's name, a union's branches, or a definition."""

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NESTING_MAX: Final = 64

_FIXED_SIZES: Final = {"null": 0, "float": 4, "double": 8}


class SchemaInvalid(InvalidRequest):
    """A schema, or the set of schemas, cannot be used as it is."""


class Schema(msgspec.Struct, frozen=True):
    """A record schema that stands by itself.

    `fingerprint` is CRC-64-AVRO of the parsing canonical form, little-endian as in single-object encoding.
    `definition` is as written; `parsed` is fastavro's form with full names; `names` are its named types.
    """

    name: str
    fingerprint: bytes
    canonical: str
    definition: Mapping[str, Any]
    parsed: Any
    names: Mapping[str, Any]

    @property
    def short_name(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition(".")[2]

    @property
    def namespace(self) -> str:
        """What stands before the short name."""
        return self.name.rpartition(".")[0]

    def resolve(self, type_: Type) -> Type:
        """Return the definition behind a reference; primitives come back as their name."""
        while True:
            if isinstance(type_, str):
                if type_ in PRIMITIVES:
                    return type_
                type_ = self.names[type_]
            if not isinstance(type_, dict) or type_["type"] in ("record", "enum", "fixed", "array", "map"):
                return type_
            type_ = type_["type"]

    def canonical_part(self, type_: Type) -> str:
        """Return the canonical form of a record within this schema, as if it stood by itself. Raises SchemaInvalid."""
        try:
            return str(to_parsing_canonical_form(self.resolve(type_)))
        except (SchemaParseException, UnknownType) as error:
            raise SchemaInvalid(f"{self.name}: a part that does not stand by itself: {error!r}") from error

    def bytes_min(self, type_: Type) -> int:
        """Return the fewest bytes that a value of the type takes; a type that contains itself counts as one there."""
        return self._bytes_min(type_, frozenset())

    def _bytes_min(self, type_: Type, within: frozenset[str]) -> int:
        resolved = self.resolve(type_)
        if isinstance(resolved, str):
            return _FIXED_SIZES.get(resolved, 1)
        if isinstance(resolved, list):
            return 1 + min(self._bytes_min(branch, within) for branch in resolved)
        if resolved["type"] == "fixed":
            return int(resolved["size"])
        if resolved["type"] != "record":
            return 1
        if resolved["name"] in within:
            return 1
        within |= {resolved["name"]}
        return sum(self._bytes_min(field["type"], within) for field in resolved["fields"])

    def references(self) -> Iterator[str]:
        """Yield the full name of every named type once for each place where it stands."""
        seen: set[str] = set()
        waiting: list[Type] = [self.parsed]
        while waiting:
            resolved = self.resolve(waiting.pop())
            if isinstance(resolved, list):
                waiting += resolved
            elif isinstance(resolved, dict):
                if "name" in resolved:
                    yield resolved["name"]
                    if resolved["name"] in seen:
                        continue
                    seen.add(resolved["name"])
                waiting += inner_types(resolved)


def inner_types(definition: Mapping[str, Any]) -> list[Type]:
    """Return the types that a definition is made of, in order."""
    match definition["type"]:
        case "array":
            return [definition["items"]]
        case "map":
            return [definition["values"]]
        case "record":
            return [field["type"] for field in definition["fields"]]
        case _:
            return []


def parse_schema(definition: Any) -> Schema:
    """Read one self-contained record schema. Raises SchemaInvalid."""
    plain = _without_logical_types(definition, NESTING_MAX)
    if not isinstance(plain, dict) or plain.get("type") != "record":
        raise SchemaInvalid("the schema is not a record")
    try:
        parsed = fastavro.parse_schema(plain)
        canonical = to_parsing_canonical_form(plain)
    except (SchemaParseException, UnknownType, KeyError, TypeError, ValueError) as error:
        raise SchemaInvalid(f"not an Avro schema: {error!r}") from error
    return Schema(
        name=parsed["name"],
        fingerprint=bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO")),
        canonical=canonical,
        definition=plain,
        parsed=parsed,
        names=parsed["__named_schemas"],
    )


def _without_logical_types(definition: Any, depth: int) -> Any:
    # a logical type changes what a reader makes of the value, never its bytes; our values are plain
    if depth < 0:
        raise SchemaInvalid(f"types are nested more than {NESTING_MAX} deep")
    if isinstance(definition, list):
        return [_without_logical_types(part, depth - 1) for part in definition]
    if isinstance(definition, dict):
        if definition.get("type") == "fixed" and (type(definition.get("size")) is not int or definition["size"] < 0):
            raise SchemaInvalid("the size of a fixed type is no number of bytes")
        return {
            key: part if key in ("default", "doc") else _without_logical_types(part, depth - 1)
            for key, part in definition.items()
            if key != "logicalType"
        }
    return definition
