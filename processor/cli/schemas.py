"""`schemas list|check|decode`: the catalogue, the compatibility of its versions, and decoding of bytes."""

from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from processor.avro.framing import Unframed
from processor.avro.records import RecordCodec
from processor.avro.releases import conflicts, load_histories
from processor.avro.wire import Malformed
from processor.cli.context import CommandContext
from processor.cli.exits import Exit, invalid
from processor.cli.options import ConfigFile, Output
from processor.cli.output import emit_document, emit_rows, note
from processor.runtime.files import STDIN, input_of

app = App(name="schemas")


@app.command(name="list")
def list_(*, config: ConfigFile = None, output: Output = "table") -> None:
    """List every record that this build reads and writes, with its released version and fingerprint."""
    rows = [
        {
            "name": history.record,
            "version": history.version or None,
            "fingerprint": history.current.fingerprint.hex(),
            "fields": len(history.current.definition["fields"]),
        }
        for history in load_histories(CommandContext(config).settings.schemas_dir)
        if history.current is not None
    ]
    emit_rows(rows, output, columns=("name", "version", "fingerprint", "fields"), name="name")


@app.command
def check(*, config: ConfigFile = None, output: Output = "table") -> int:
    """Check that all versions of each record, released or current, can read each other; exit 1 if not.

    Schema registries call this FULL_TRANSITIVE.
    """
    histories = load_histories(CommandContext(config).settings.schemas_dir)
    rows = [msgspec.structs.asdict(conflict) for history in histories for conflict in conflicts(history)]
    if rows or output != "table":
        emit_rows(rows, output, columns=("record", "writer", "reader", "path", "reason"), name="record")
    released = sum(len(history.released) for history in histories)
    found = f"{len(rows)} conflicts" if rows else "all are compatible"
    note(f"{len(histories)} records, {released} released versions: {found}")
    return Exit.DIFFERS if rows else Exit.OK


@app.command
def decode(
    value: Annotated[str, Parameter(allow_leading_hyphen=True, help="Hex of a value; `-` reads bytes from stdin.")],
    *,
    config: ConfigFile = None,
    output: Output = "json",
) -> None:
    """Print a value in single-object framing as JSON."""
    try:
        content = input_of(STDIN) if value == "-" else bytes.fromhex(value)
        name, record = RecordCodec(CommandContext(config).catalogue).decode_record(content)
    except (Unframed, Malformed, ValueError) as error:
        raise invalid(f"cannot decode: {error}") from error
    emit_document({"type": name, "value": record}, output, name=name)
