"""Output of commands on stdout: tables for people; JSON, YAML and names for programs. Notes go to stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from processor.cli.options import OutputFormat
from processor.cli.streams import writes_unicode

Row = Mapping[str, Any]
COLUMN_GAP = "  "
CELL_WIDTH_MAX = 100


def emit_rows(rows: Sequence[Row], output: OutputFormat, *, columns: Sequence[str], name: str) -> None:
    """Print rows: a table of the `columns`, a JSON or YAML list of all fields, or the field `name` of each."""
    match output:
        case "table":
            sys.stdout.writelines(f"{line}\n" for line in table(rows, columns))
        case "name":
            sys.stdout.writelines(f"{row[name]}\n" for row in rows)
        case "json" | "yaml":
            emit_document([dict(row) for row in rows], output, name=name)


def emit_document(document: Any, output: OutputFormat, *, name: str) -> None:
    """Print one document: as JSON or YAML, as a table with one field per line, or its `name` alone."""
    match output:
        case "json":
            sys.stdout.write(f"{json_text(document, indent=2)}\n")
        case "yaml":
            sys.stdout.write(yaml_text(document))
        case "name":
            sys.stdout.write(f"{name}\n")
        case "table":
            rows = [("FIELD", "VALUE"), *fields_of(document)]
            width = max(len(field) for field, _ in rows)
            sys.stdout.writelines(f"{field.ljust(width)}{COLUMN_GAP}{value}\n" for field, value in rows)


def emit_report(document: Any, output: OutputFormat, *, lines: Iterable[str], names: Iterable[str], name: str) -> None:
    """Print a report: `lines` for people, the document as JSON or YAML, or the `names` of what it lists."""
    match output:
        case "table":
            sys.stdout.writelines(f"{line}\n" for line in lines)
        case "name":
            sys.stdout.writelines(f"{listed}\n" for listed in names)
        case _:
            emit_document(document, output, name=name)


def fields_of(document: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and value of each leaf below a path; lists of scalars count as leaves.

    A field is named by its path, as `state diff` does: `versions.0.status`.
    """
    members: Mapping[Any, Any] = document if isinstance(document, Mapping) else {}
    if isinstance(document, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in document):
        members = dict(enumerate(document))
    if not members:
        yield path, cell(document, width_max=None)
    for name, value in members.items():
        yield from fields_of(value, f"{path}.{name}" if path else str(name))


def emit_stream(items: Iterable[Row], output: OutputFormat, *, line: Callable[[Row], str], name: str) -> int:
    """Print items as they arrive: one JSON object, YAML document or readable line each. Return their number."""
    count = 0
    for item in items:
        count += 1
        match output:
            case "json":
                text = json_text(item)
            case "yaml":
                text = f"---\n{yaml_text(dict(item))}".rstrip("\n")
            case "name":
                text = cell(item[name], width_max=None)
            case "table":
                text = line(item)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    return count


def table(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Return the lines of a table with a heading row; columns are as wide as their widest cell."""
    cells = [[column.replace("_", " ").upper() for column in columns]]
    cells += [[cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[n]) for line in cells) for n in range(len(columns))]
    return [
        COLUMN_GAP.join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells
    ]


def cell(value: Any, *, width_max: int | None = CELL_WIDTH_MAX) -> str:
    """Return a value as one line of text, cut at `width_max`; an empty value is `-`."""
    if value is None or value in ("", [], {}):
        return "-"
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            text = value if value.isprintable() else json_text(value)
        case bytes():
            text = value.hex()
        case [*items] if all(isinstance(item, str | int) for item in items):
            text = ",".join(str(item) for item in items)
        case dict() | list():
            text = json_text(value)
        case _:
            text = str(value)
    return text if width_max is None or len(text) <= width_max else f"{text[: width_max - 1]}…"


def json_text(document: Any, *, indent: int | None = None) -> str:
    """Return JSON with sorted keys; bytes are hex."""
    ascii_only = not writes_unicode(sys.stdout)
    return json.dumps(document, ensure_ascii=ascii_only, indent=indent, sort_keys=True, default=_plain)


def yaml_text(document: Any) -> str:
    """Return YAML in block style with sorted keys."""
    plain = json.loads(json_text(document))
    return str(yaml.safe_dump(plain, sort_keys=True, allow_unicode=writes_unicode(sys.stdout)))


def note(message: str) -> None:
    """Print a message for people on stderr."""
    sys.stderr.write(f"{message}\n")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
