"""The released versions of each record and the current one, and whether they are compatible."""

from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path

import msgspec

from processor.avro.catalogue import RELEASED, read_schema, schema_files
from processor.avro.compatibility import unreadable
from processor.avro.schema import Schema, SchemaInvalid


class History(msgspec.Struct, frozen=True):
    """One record: its released versions, oldest first (version n is item n − 1), and how it is now, None if it went."""

    record: str
    released: tuple[Schema, ...]
    current: Schema | None

    @property
    def version(self) -> int:
        """The number that the current schema was released under, 0 if it was not yet."""
        forms = [schema.canonical for schema in self.released]
        return forms.index(self.current.canonical) + 1 if self.current and self.current.canonical in forms else 0

    @property
    def versions(self) -> Mapping[str, Schema]:
        """What a version is called → its schema; the current one stands by itself, its defaults and aliases count."""
        named = {str(number): schema for number, schema in enumerate(self.released, start=1)}
        return named | ({"current": self.current} if self.current else {})


class Conflict(msgspec.Struct, frozen=True):
    """A reason why two versions of a record are incompatible; `path` is "" for the record as a whole."""

    record: str
    writer: str
    reader: str
    path: str
    reason: str


def load_histories(directory: Path) -> tuple[History, ...]:
    """Read `<part>/<Record>.avsc` and `released/<part>/<Record>/<n>.avsc` below a directory, by record.

    Raises SchemaInvalid, which names the file, or the directory when there is no schema in it.
    """
    released: dict[str, dict[int, Schema]] = {}
    current: dict[str, Schema] = {}
    for path in schema_files(directory):
        place = path.relative_to(directory)
        schema = read_schema(path)
        if place.parts[0] == RELEASED:
            released.setdefault(str(place.parent.relative_to(RELEASED)), {})[_number(path)] = schema
        else:
            current[str(place.with_suffix(""))] = schema
    return tuple(_history(name, released.get(name, {}), current.get(name)) for name in sorted({*released, *current}))


def conflicts(history: History) -> tuple[Conflict, ...]:
    """Return what breaks FULL_TRANSITIVE: every version, the current one included, reads what every other wrote."""
    return (*_withdrawn(history), *_unreadable(history))


def _number(path: Path) -> int:
    if not path.stem.isdecimal():
        raise SchemaInvalid(f"{path}: a released version is named by its number")
    return int(path.stem)


def _history(place: str, released: dict[int, Schema], current: Schema | None) -> History:
    if sorted(released) != list(range(1, len(released) + 1)):
        raise SchemaInvalid(f"{place}: the released versions {sorted(released)} are not numbered from 1 without holes")
    versions = tuple(released[number] for number in sorted(released))
    names = {schema.name for schema in (*versions, *([current] if current else []))}
    if len(names) > 1:
        raise SchemaInvalid(f"{place}: one record has several names: {', '.join(sorted(names))}")
    return History(names.pop(), versions, current)


def _withdrawn(history: History) -> Iterator[Conflict]:
    if history.current is None:
        yield Conflict(
            history.record, str(len(history.released)), "current", "", "was released and is not there any more"
        )


def _unreadable(history: History) -> Iterator[Conflict]:
    for (writer, written), (reader, read) in permutations(history.versions.items(), 2):
        for found in unreadable(written, read):
            yield Conflict(history.record, writer, reader, found.path, found.reason)
