"""Whether data written with one schema can be read with another, by Avro's rules of schema resolution.

Pure: schemas in, reasons out. A record or field that was renamed is known by the reader's aliases; names are compared
without their namespaces. The first branch of a reader's union that fits in kind and name is the one that is read.
"""

from typing import Any, Final, Literal

import msgspec

from processor.avro.schema import Schema, Type

Mode = Literal["BACKWARD", "FORWARD", "FULL"]
"""BACKWARD: the newer schema reads what the older wrote. FORWARD: the other way round. FULL: both."""

PROMOTIONS: Final = frozenset(
    {
        *(("int", "long"), ("int", "float"), ("int", "double")),
        *(("long", "float"), ("long", "double"), ("float", "double")),
        *(("string", "bytes"), ("bytes", "string")),
    }
)
"""(written as, may be read as): Avro's list. Bytes that are no UTF-8 are refused when they come."""


class Incompatibility(msgspec.Struct, frozen=True):
    """Why a reader fails, and where: fields by name, `[]` for an array's items, `{}` for a map's values."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def incompatibilities(older: Schema, newer: Schema, mode: Mode = "FULL") -> tuple[Incompatibility, ...]:
    """Return why two versions of a record do not go together; nothing if they do."""
    backward = () if mode == "FORWARD" else unreadable(older, newer)
    forward = () if mode == "BACKWARD" else unreadable(newer, older)
    return backward + forward


def unreadable(writer: Schema, reader: Schema) -> tuple[Incompatibility, ...]:
    """Return why values of `writer` cannot all be read with `reader`; nothing if they can."""
    comparison = _Comparison(writer, reader)
    comparison.types(writer.parsed, reader.parsed, reader.short_name)
    return tuple(comparison.found)


class _Comparison:
    def __init__(self, writer: Schema, reader: Schema) -> None:
        self.found: list[Incompatibility] = []
        self._writer = writer
        self._reader = reader
        self._seen: set[tuple[str, str]] = set()

    def types(self, written: Type, read: Type, path: str) -> None:
        """Compare a type as written with the one it is read as."""
        written, read = self._writer.resolve(written), self._reader.resolve(read)
        if isinstance(written, list):
            for branch in written:
                self.types(branch, read, path)
        elif isinstance(read, list):
            branches = [self._reader.resolve(branch) for branch in read]
            fitting = next((branch for branch in branches if _fits(written, branch)), None)
            if fitting is None:
                self._add(path, f"{_words(written)} is written, only {' or '.join(map(_words, branches))} is read")
            else:
                self._parts(written, fitting, path)
        elif _fits(written, read):
            self._parts(written, read, path)
        else:
            self._add(path, f"{_words(written)} is written, {_words(read)} is read")

    def _parts(self, written: Type, read: Type, path: str) -> None:
        if not isinstance(written, dict) or not isinstance(read, dict):
            return
        match written["type"]:
            case "array":
                self.types(written["items"], read["items"], f"{path}[]")
            case "map":
                self.types(written["values"], read["values"], f"{path}{{}}")
            case "enum":
                self._symbols(written, read, path)
            case "record":
                self._fields(written, read, path)

    def _symbols(self, written: dict[str, Any], read: dict[str, Any], path: str) -> None:
        unknown = [symbol for symbol in written["symbols"] if symbol not in read["symbols"]]
        if unknown and not read.get("default"):
            self._add(path, f"the reader's enum has neither {', '.join(unknown)} nor a default")

    def _fields(self, written: dict[str, Any], read: dict[str, Any], path: str) -> None:
        names = (written["name"], read["name"])
        if names in self._seen:
            return
        self._seen.add(names)
        sources = _sources(written, read)
        for field in read["fields"]:
            place = f"{path}.{field['name']}"
            found = sources[field["name"]]
            if len(found) > 1:
                self._add(place, f"{' and '.join(source['name'] for source in found)} are written, both are read as it")
            elif found:
                self.types(found[0]["type"], field["type"], place)
            elif "default" not in field:
                self._add(place, "the writer does not have it, and the reader has no default for it")

    def _add(self, path: str, reason: str) -> None:
        self.found.append(Incompatibility(path, reason))


def _sources(written: dict[str, Any], read: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the reader's field name → the writer's fields that are read as it: by its name, else by its aliases."""
    sources: dict[str, list[dict[str, Any]]] = {field["name"]: [] for field in read["fields"]}
    renamed = {alias: field["name"] for field in read["fields"] for alias in field.get("aliases", ())}
    for field in written["fields"]:
        name = field["name"] if field["name"] in sources else renamed.get(field["name"])
        if name is not None:
            sources[name].append(field)
    return sources


def _fits(written: Type, read: Type) -> bool:
    """Tell whether two resolved types that are no unions are the same in kind and name; parts are not looked at."""
    if isinstance(written, str) and isinstance(read, str):
        return written == read or (written, read) in PROMOTIONS
    if not isinstance(written, dict) or not isinstance(read, dict) or written["type"] != read["type"]:
        return False
    if written["type"] in ("array", "map"):
        return True
    return _is_named(read, written["name"]) and written.get("size") == read.get("size")


def _is_named(read: dict[str, Any], name: str) -> bool:
    short = name.rpartition(".")[2]
    return short == read["name"].rpartition(".")[2] or bool({name, short}.intersection(read.get("aliases", ())))


def _words(type_: Type) -> str:
    if not isinstance(type_, dict):
        return str(type_)
    size = f" of {type_['size']} bytes" if type_["type"] == "fixed" else ""
    return f"{type_['type']} {type_.get('name', '')}".strip() + size
