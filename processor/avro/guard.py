"""The slow check of bytes against their schema, which explains what the generated readers only refuse.

Anybody who may write to an input topic may send any bytes, so decoding is bounded in every direction:

* size: a record above VALUE_BYTES_MAX with its key and headers is never decoded (`envelope.exceeds`);
* counts: a block says how many items follow. The count is compared with the bytes that are left before anything is
  allocated, and items without a size (null, an empty record) have a limit of their own (`wire.ZERO_SIZE_ITEMS_MAX`);
* depth: only a record that contains itself can nest without limit; it may nest DEPTH_MAX deep;
* numbers and text: varints of at most 10 bytes within 64 bits, no negative lengths, strings of valid UTF-8;
* the value ends with the bytes: nothing may follow it.

Readers enforce the same limits with less detail. This check is written independently on purpose, a test holds both to
refusing exactly the same values, and only refused values get here. It names the field and the byte, in linear time.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from processor.avro.schema import Schema, Type
from processor.avro.wire import VARINT_BYTES_MAX, ZERO_SIZE_ITEMS_MAX, Malformed

VALUE_BYTES_MAX: Final = 768 * 1024
"""A record that is larger, with its key and headers, is never decoded."""
DEPTH_MAX: Final = 64
"""Nesting of records, checked for those that are referenced more than once: only they can contain themselves."""

_INT_MAX: Final = (1 << 31) - 1


def check(schema: Schema, value: bytes, start: int) -> None:
    """Raise Malformed, with the field and the byte, unless the bytes from `start` are one value of the schema."""
    walk = _Walk(schema, value, start)
    try:
        walk.whole()
    except Malformed as error:
        where = "".join(walk.path).lstrip(".") or "the value"
        raise Malformed(f"{schema.name}: {where}, byte {walk.position}: {error}") from None


class _Walk:
    """A position in the bytes and the path of fields to it; takes linear time and keeps nothing of the value."""

    def __init__(self, schema: Schema, value: bytes, start: int) -> None:
        self.schema = schema
        self.value = value
        self.position = start
        self.path: list[str] = []
        self._depth = 0
        self._places = Counter(schema.references())

    def whole(self) -> None:
        """Step over the value, which must end with the bytes."""
        self.type_(self.schema.parsed)
        if self.position != len(self.value):
            raise Malformed(f"{len(self.value) - self.position} bytes too many")

    def type_(self, type_: Type) -> None:
        """Step over one value of the type."""
        resolved = self.schema.resolve(type_)
        if isinstance(resolved, list):
            self.type_(resolved[self._index(len(resolved), "union branch")])
        elif isinstance(resolved, str):
            self._primitive(resolved)
        else:
            self._definition(resolved)

    def _primitive(self, name: str) -> None:
        match name:
            case "long":
                self._long()
            case "int":
                if not -_INT_MAX - 1 <= self._long() <= _INT_MAX:
                    raise Malformed("number beyond 32 bits")
            case "boolean":
                if self._take(1)[0] > 1:
                    raise Malformed("boolean is neither 0 nor 1")
            case "string":
                self._text()
            case "bytes":
                self._take(self._length())
            case "float" | "double":
                self._take(struct.calcsize("d" if name == "double" else "f"))

    def _definition(self, definition: dict[str, Any]) -> None:
        match definition["type"]:
            case "record":
                self._record(definition)
            case "array":
                self._blocks(definition["items"], 0)
            case "map":
                self._blocks(definition["values"], 1)
            case "enum":
                self._index(len(definition["symbols"]), "enum symbol")
            case _:
                self._take(definition["size"])

    def _record(self, definition: dict[str, Any]) -> None:
        if self._depth >= DEPTH_MAX and self._places[definition["name"]] > 1:
            raise Malformed(f"nested more than {DEPTH_MAX} deep")
        self._depth += 1
        for field in definition["fields"]:
            with self._within("." + field["name"]):
                self.type_(field["type"])
        self._depth -= 1

    def _blocks(self, items: Type, key_bytes_min: int) -> None:
        bytes_min = self.schema.bytes_min(items) + key_bytes_min
        while count := self._long():
            end = None
            if count < 0:
                end = self._length() + self.position
                count = -count
            self._check_count(count, bytes_min)
            for index in range(count):
                with self._within(f"[{index}]"):
                    if key_bytes_min:
                        self._text()
                    self.type_(items)
            if end is not None and end != self.position:
                raise Malformed("a block does not end where it says")

    def _check_count(self, count: int, bytes_min: int) -> None:
        if bytes_min == 0 and count > ZERO_SIZE_ITEMS_MAX:
            raise Malformed(f"{count} items of no size in a block")
        if count * bytes_min > len(self.value) - self.position:
            raise Malformed(f"{count} items cannot fit the bytes that are left")

    def _index(self, count: int, what: str) -> int:
        index = self._long()
        if not 0 <= index < count:
            raise Malformed(f"{what} {index} does not exist")
        return index

    def _text(self) -> None:
        try:
            self._take(self._length()).decode()
        except UnicodeDecodeError as error:
            raise Malformed(f"not UTF-8: {error.reason}") from None

    def _length(self) -> int:
        length = self._long()
        if length < 0:
            raise Malformed(f"negative length {length}")
        return length

    def _long(self) -> int:
        raw = 0
        for place in range(VARINT_BYTES_MAX):
            byte = self._take(1)[0]
            raw |= (byte & 127) << (7 * place)
            if byte < 128:
                if raw >= 1 << 64:
                    break
                return (raw >> 1) ^ -(raw & 1)
        raise Malformed("number beyond 64 bits")

    def _take(self, size: int) -> bytes:
        taken = self.value[self.position : self.position + size]
        if len(taken) < size:
            raise Malformed(f"ends {size - len(taken)} bytes early")
        self.position += size
        return taken

    @contextmanager
    def _within(self, part: str) -> Iterator[None]:
        # the path is left as it is when the check fails: it is the answer
        self.path.append(part)
        yield
        self.path.pop()
