"""Every schema that this build knows: the current ones and every version ever released."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from processor.avro.schema import Schema, SchemaInvalid, parse_schema
from processor.runtime.files import text_of

RELEASED: Final = "released"
"""The folder of frozen versions: `released/<part>/<Record>/<n>.avsc`."""
SUFFIX: Final = ".avsc"
NAMED_BY: Final = "PROCESSOR_SCHEMAS_DIR names the folder of the schemas"


class Catalogue:
    """Schemas by name (current ones only) and by fingerprint (all)."""

    def __init__(
        self, current: Iterable[Schema], released: Iterable[Schema] = (), directories: Iterable[Path] = ()
    ) -> None:
        self._directories = tuple(directories)
        self._by_name: dict[str, Schema] = {}
        self._by_short_name: dict[str, list[Schema]] = {}
        self._by_fingerprint = {schema.fingerprint: schema for schema in released}
        for schema in current:
            if schema.name in self._by_name:
                raise SchemaInvalid(f"{schema.name} is defined twice")
            self._by_name[schema.name] = schema
            self._by_short_name.setdefault(schema.short_name, []).append(schema)
            self._by_fingerprint[schema.fingerprint] = schema

    @classmethod
    def load(cls, *directories: Path) -> "Catalogue":
        """Read every `.avsc` below the directories. Raises SchemaInvalid, which names the file."""
        current: list[Schema] = []
        released: list[Schema] = []
        for directory in directories:
            for path in schema_files(directory):
                old = RELEASED in path.relative_to(directory).parts
                (released if old else current).append(read_schema(path))
        return cls(current, released, directories)

    @property
    def current(self) -> Mapping[str, Schema]:
        """The current schemas by full name."""
        return self._by_name

    def __iter__(self) -> Iterator[Schema]:
        return iter(self._by_fingerprint.values())

    def schema_of(self, fingerprint: bytes) -> Schema | None:
        """Return the schema with this CRC-64-AVRO fingerprint (8 bytes, little-endian), current or released."""
        return self._by_fingerprint.get(fingerprint)

    def record(self, name: str) -> Schema | None:
        """Return the current schema by full name, or by short name where only one record has it."""
        named = self._by_name.get(name)
        if named is not None:
            return named
        found = self._by_short_name.get(name, [])
        return found[0] if len(found) == 1 else None

    def require(self, name: str) -> Schema:
        """Return the current schema with this full name. Raises SchemaInvalid."""
        schema = self._by_name.get(name)
        if schema is None:
            where = f" in {', '.join(map(str, self._directories))}" if self._directories else ""
            raise SchemaInvalid(f"the schema {name} is missing{where}; {NAMED_BY}")
        return schema

    def namespace(self, namespace: str) -> dict[str, Schema]:
        """Return the current schemas of a namespace by short name."""
        return {schema.short_name: schema for schema in self._by_name.values() if schema.namespace == namespace}


def schema_files(directory: Path) -> list[Path]:
    """Return every `.avsc` below a directory, sorted. Raises SchemaInvalid when there is none, or no looking.

    Links are followed and hidden names left out, so that a mounted ConfigMap shows each file once.
    """
    paths: list[Path] = []
    for folder, folders, names in os.walk(directory, onerror=_unreadable, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [Path(folder, name) for name in names if name.endswith(SUFFIX) and not name.startswith(".")]
    if not paths:
        raise SchemaInvalid(f"{directory}: no schemas (*{SUFFIX}) in this folder; {NAMED_BY}")
    return sorted(paths)


def _unreadable(error: OSError) -> None:
    raise SchemaInvalid(f"{error.filename}: {error.strerror}; {NAMED_BY}") from error


def read_schema(path: Path) -> Schema:
    """Read one file. Raises SchemaInvalid, which names it."""
    try:
        return parse_schema(msgspec.json.decode(text_of(path)))
    except (msgspec.DecodeError, SchemaInvalid) as error:
        raise SchemaInvalid(f"{path}: {error}") from error
