"""`dead-letters list|show`: what could not be processed, with its original bytes."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from processor.cli.exits import CommandError, Exit
from processor.cli.options import ClusterName, ConfigFile, Output
from processor.cli.output import emit_document, emit_rows
from processor.cli.reach import Reach
from processor.cli.records import time_of

if TYPE_CHECKING:
    from processor.engine.values import Record

LAST = 20
PREFIX = "dead-letter-"
OURS = (PREFIX, "processor-")


def register(app: App) -> None:
    """Add this group's commands."""
    group = App(name="dead-letters", help="What could not be processed.", result_action="return_value")
    group.command(list_, name="list")
    group.command(show)
    app.command(group)


def list_(
    *,
    count: Annotated[int, Parameter(name=["--count", "-n"], help="How many, the last ones.")] = LAST,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """List dead letters, the newest last."""
    reach = Reach(config)
    with reach.reader(reach.topics["dead-letters"], _partitions(reach, cluster)) as reader:
        rows = [row_of(record) for record in reader.last(count)]
    emit_rows(rows, output, columns=("id", "code", "at", "seq", "bytes", "message"), name="id")


def show(
    id_: Annotated[str, Parameter(name="ID", help="TOPIC-PARTITION-OFFSET of the original record.")],
    *,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Print one dead letter: why, where from, its headers and its bytes (as text where they are, and as hex)."""
    reach = Reach(config)
    with reach.reader(reach.topics["dead-letters"], _partitions(reach, cluster)) as reader:
        records = reader.until_end({place: extent.low for place, extent in reader.extents().items()})
        found = next((record for record in records if id_of(record) == id_), None)
    if found is None:
        raise CommandError(f"there is no dead letter {id_}", Exit.DIFFERS)
    emit_document({**row_of(found), **_original(found)}, output)


def row_of(record: "Record") -> dict[str, Any]:
    """Return what a dead letter's headers tell."""
    facts = {name.removeprefix(PREFIX): _text(value) for name, value in record.headers if name.startswith(OURS)}
    return {
        "id": id_of(record),
        "code": facts.get("code", ""),
        "message": facts.get("message", ""),
        "exception": facts.get("exception", ""),
        "topic": facts.get("topic", ""),
        "partition": _number(facts.get("partition")),
        "offset": _number(facts.get("offset")),
        "timestamp_ms": _number(facts.get("timestamp")),
        "at": time_of(_number(facts.get("timestamp"))),
        "seq": _number(facts.get("processor-seq")),
        "bytes": len(record.value or b""),
    }


def id_of(record: "Record") -> str:
    """Return `<topic>-<partition>-<offset>` of the original record."""
    headers = dict(record.headers)
    return "-".join(_text(headers.get(PREFIX + name)) for name in ("topic", "partition", "offset"))


def _original(record: "Record") -> dict[str, Any]:
    value = record.value or b""
    return {
        "key": _text(record.key),
        "headers": {name: _text(content) for name, content in record.headers if not name.startswith(OURS)},
        "hex": value.hex(),
        "text": value.decode("utf-8", errors="backslashreplace"),
    }


def _partitions(reach: Reach, cluster: str | None) -> tuple[int, ...] | None:
    return None if cluster is None else (reach.partition_of(cluster),)


def _number(text: str | None) -> int:
    return int(text) if text else -1


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", errors="backslashreplace")
