"""`schemas list|decode`: the catalogue, and bytes to JSON."""

import sys
from typing import Annotated

from cyclopts import App, Parameter

from processor.cli.exits import invalid
from processor.cli.options import ConfigFile, Output
from processor.cli.output import emit_document, emit_rows
from processor.cli.reach import Reach


def register(app: App) -> None:
    """Add this group's commands."""
    group = App(name="schemas", help="The Avro schemas.", result_action="return_value")
    group.command(list_, name="list")
    group.command(decode)
    app.command(group)


def list_(*, config: ConfigFile = None, output: Output = "table") -> None:
    """List every schema that this build reads and writes, by its fingerprint."""
    catalogue = Reach(config).catalogue
    rows = [
        {"name": name, "fingerprint": schema.fingerprint.hex(), "fields": len(schema.definition["fields"])}
        for name, schema in sorted(catalogue.current.items())
    ]
    emit_rows(rows, output, columns=("name", "fingerprint", "fields"), name="name")


def decode(
    value: Annotated[str, Parameter(allow_leading_hyphen=True, help="Hex of a value; `-` reads bytes from stdin.")],
    *,
    config: ConfigFile = None,
    output: Output = "json",
) -> None:
    """Print a value in single-object framing as JSON."""
    from processor.avro.framing import Unframed
    from processor.avro.records import RecordCodec
    from processor.avro.wire import Malformed

    try:
        content = sys.stdin.buffer.read() if value == "-" else bytes.fromhex(value)
        name, record = RecordCodec(Reach(config).catalogue).decode_record(content)
    except (Unframed, Malformed, ValueError) as error:
        raise invalid(f"this cannot be decoded: {error}") from error
    emit_document({"type": name, "value": record}, output)
