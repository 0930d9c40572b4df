"""Avro single-object framing with fastavro and the project's .avsc files, and nothing else of the project."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

MARKER = b"\xc3\x01"
PREFIX_BYTES = 10
SCHEMAS_DIRECTORY = Path(__file__).resolve().parents[2] / "schemas"


class Schemas:
    """The current schemas of some directories, by full name and by fingerprint."""

    def __init__(self, *directories: Path) -> None:
        self._by_name: dict[str, Any] = {}
        self._by_prefix: dict[bytes, str] = {}
        self._prefixes: dict[str, bytes] = {}
        for path in _current(directories):
            self._add(json.loads(path.read_text()))

    def encode(self, name: str, data: Mapping[str, Any]) -> bytes:
        """Return prefix and body of a record with this full name."""
        buffer = io.BytesIO()
        buffer.write(self._prefixes[name])
        fastavro.schemaless_writer(buffer, self._by_name[name], data, strict_allow_default=True)
        return buffer.getvalue()

    def decode(self, value: bytes) -> tuple[str, dict[str, Any]]:
        """Return full name and data. Raises KeyError for an unknown schema, ValueError for trailing bytes."""
        name = self._by_prefix[value[:PREFIX_BYTES]]
        buffer = io.BytesIO(value[PREFIX_BYTES:])
        data = fastavro.schemaless_reader(buffer, self._by_name[name], None)
        if rest := buffer.read():
            raise ValueError(f"{name}: {len(rest)} bytes follow")
        return name, data

    def _add(self, definition: dict[str, Any]) -> None:
        name = f"{definition['namespace']}.{definition['name']}"
        parsed = fastavro.parse_schema(definition)
        prefix = MARKER + bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
        self._by_name[name], self._prefixes[name], self._by_prefix[prefix] = parsed, prefix, name


def _current(directories: tuple[Path, ...]) -> Iterator[Path]:
    for directory in directories:
        yield from (path for path in directory.rglob("*.avsc") if "released" not in path.relative_to(directory).parts)
