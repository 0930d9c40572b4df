"""Readers generated from schemas (see `codegen`): strict, and faster than a general decoder behind a check.

A reader takes the whole value and the start of its body, and returns the body's data; the body ends with the value.
It refuses with one of `REFUSALS`; `guard.check` then explains why.
"""

import struct
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol

from processor.avro.codegen import Source
from processor.avro.guard import DEPTH_MAX
from processor.avro.schema import Schema, SchemaInvalid, Type
from processor.avro.wire import ZERO_SIZE_ITEMS_MAX, Malformed, read_block, read_length, read_raw

Reader = Callable[[bytes, int], Any]
REFUSALS: Final = (IndexError, ValueError, struct.error)

INLINE_LEVEL_MAX: Final = 4
"""Records are read in place up to this many within each other; Python limits how far blocks nest."""


class Shape(Protocol):
    """The objects that a reader builds: an expression for each record and array, from those of their parts."""

    def record(self, definition: dict[str, Any], values: dict[str, str], names: dict[str, Any]) -> str:
        """Return the expression of a record; what it refers to is added to `names`."""
        ...

    def array(self, items: str) -> str:
        """Return the expression of an array, given that of a list."""
        ...


class PlainShape:
    """Dictionaries and lists."""

    def record(self, definition: dict[str, Any], values: dict[str, str], names: dict[str, Any]) -> str:
        """Return a dictionary of all fields."""
        del definition, names
        return "{" + ", ".join(f"{name!r}: {value}" for name, value in values.items()) + "}"

    def array(self, items: str) -> str:
        """Return the list."""
        return items


def compile_reader(schema: Schema, shape: Shape) -> Reader:
    """Return a reader of values written with the schema."""
    return _ReaderSource(schema, shape).compile()


class _ReaderSource:
    def __init__(self, schema: Schema, shape: Shape) -> None:
        self._schema = schema
        self._shape = shape
        self._source = Source()
        self._places = Counter(schema.references())
        self._functions: dict[str, str] = {}
        self._waiting: list[tuple[str, dict[str, Any]]] = []
        self._names: dict[str, Any] = {
            "read_raw": read_raw,
            "read_length": read_length,
            "read_block": read_block,
            "Malformed": Malformed,
            "booleans": (False, True),
            "unpack_float": struct.Struct("<f").unpack_from,
            "unpack_double": struct.Struct("<d").unpack_from,
        }

    def compile(self) -> Reader:
        add = self._source.add
        with self._source.block("def read(d, p):"):
            add("size = len(d)", "depth = 0")
            value = self._record(self._schema.parsed, 0)
            with self._source.block("if p != size:"):
                add("raise Malformed('does not end with the value')")
            add(f"return {value}")
        while self._waiting:
            self._function(*self._waiting.pop())
        try:
            return self._source.compile("read", f"reader of {self._schema.name}", self._names)
        except SyntaxError as error:  # loops can be nested twenty deep
            raise SchemaInvalid(f"{self._schema.name} is nested too deep: {error}") from error

    def _function(self, name: str, definition: dict[str, Any]) -> None:
        with self._source.block(f"def {name}(d, p, size, depth):"):
            if self._places[definition["name"]] > 1:
                with self._source.block(f"if depth >= {DEPTH_MAX}:"):
                    self._source.add("raise Malformed('nested too deep')")
            value = self._record(definition, 0)
            self._source.add(f"return {value}, p")

    def _read(self, type_: Type, level: int) -> str:
        """Add the lines that read one value; return the expression of it."""
        resolved = self._schema.resolve(type_)
        if isinstance(resolved, list):
            return self._union(resolved, level)
        if isinstance(resolved, str):
            return self._primitive(resolved)
        return self._definition(resolved, level)

    def _definition(self, definition: dict[str, Any], level: int) -> str:
        match definition["type"]:
            case "record":
                return self._record_at(definition, level)
            case "array":
                return self._blocks(definition["items"], level, keyed=False)
            case "map":
                return self._blocks(definition["values"], level, keyed=True)
            case "enum":
                return self._enum(definition["symbols"])
            case _:
                return self._fixed(definition["size"])

    def _primitive(self, name: str) -> str:
        if name == "null":
            return "None"
        value = self._source.name("v")
        match name:
            case "boolean":
                self._source.add(f"{value} = booleans[d[p]]", "p += 1")
            case "string" | "bytes":
                self._byte(value, "129", "read_length")
                taken = self._sized(f"({value} >> 1)")
                self._source.add(f"{value} = {taken}" + (".decode()" if name == "string" else ""))
            case "float" | "double":
                self._source.add(f"{value}, = unpack_{name}(d, p)", f"p += {4 if name == 'float' else 8}")
            case _:
                self._byte(value, "128", "read_raw")
                self._source.add(f"{value} = ({value} >> 1) ^ -({value} & 1)")
                if name == "int":
                    with self._source.block(f"if not -0x80000000 <= {value} <= 0x7fffffff:"):
                        self._source.add("raise Malformed('number beyond 32 bits')")
        return value

    def _byte(self, value: str, mask: str, slow: str) -> None:
        # most numbers are one byte: only others pay for a call
        self._source.add(f"{value} = d[p]", "p += 1")
        with self._source.block(f"if {value} & {mask}:"):
            self._source.add(f"{value}, p = {slow}(d, p, {value})")

    def _sized(self, size: str | int) -> str:
        # a slice past the end comes out short; p then lies behind the end, which nothing that follows accepts
        start = self._source.name("s")
        self._source.add(f"{start} = p", f"p += {size}")
        return f"d[{start}:p]"

    def _fixed(self, size: int) -> str:
        value = self._source.name("v")
        self._source.add(f"{value} = {self._sized(size)}")
        return value

    def _enum(self, symbols: list[str]) -> str:
        value = self._source.name("v")
        self._byte(value, "129", "read_length")
        self._source.add(f"{value} = {tuple(symbols)!r}[{value} >> 1]")
        return value

    def _union(self, branches: list[Type], level: int) -> str:
        value = self._source.name("v")
        branch = self._source.name("u")
        self._byte(branch, "128", "read_raw")
        for index, type_ in enumerate(branches):
            with self._source.block(f"{'elif' if index else 'if'} {branch} == {index << 1}:"):
                self._source.add(f"{value} = {self._read(type_, level)}")
        with self._source.block("else:"):
            self._source.add("raise Malformed('union branch does not exist')")
        return value

    def _blocks(self, items: Type, level: int, *, keyed: bool) -> str:
        value, count, end = (self._source.name(prefix) for prefix in ("v", "n", "e"))
        bytes_min = self._schema.bytes_min(items) + keyed
        add = self._source.add
        add(f"{value} = {'{}' if keyed else '[]'}")
        self._count(count, end)
        with self._source.block(f"while {count}:"):
            limit = f"{count} * {bytes_min} > size - p" if bytes_min else f"{count} > {ZERO_SIZE_ITEMS_MAX}"
            with self._source.block(f"if {limit}:"):
                add("raise Malformed('more items than can be there')")
            with self._source.block(f"for _ in range({count}):"):
                if keyed:
                    key = self._primitive("string")
                    add(f"{value}[{key}] = {self._read(items, level)}")
                else:
                    add(f"{value}.append({self._read(items, level)})")
            with self._source.block(f"if {end} and p != {end}:"):
                add("raise Malformed('a block does not end where it says')")
            self._count(count, end)
        return value if keyed else self._shape.array(value)

    def _count(self, count: str, end: str) -> None:
        self._source.add(f"{end} = 0", f"{count} = d[p]", "p += 1")
        with self._source.block(f"if {count} & 129:"):
            self._source.add(f"{count}, p, {end} = read_block(d, p, {count})")
        self._source.add(f"{count} >>= 1")

    def _record_at(self, definition: dict[str, Any], level: int) -> str:
        name = definition["name"]
        if self._places[name] == 1 and level < INLINE_LEVEL_MAX:
            return self._record(definition, level + 1)
        if name not in self._functions:
            self._functions[name] = self._source.name("record")
            self._waiting.append((self._functions[name], definition))
        value = self._source.name("v")
        self._source.add(f"{value}, p = {self._functions[name]}(d, p, size, depth + {level + 1})")
        return value

    def _record(self, definition: dict[str, Any], level: int) -> str:
        values = {field["name"]: self._read(field["type"], level) for field in definition["fields"]}
        value = self._source.name("v")
        self._source.add(f"{value} = {self._shape.record(definition, values, self._names)}")
        return value
