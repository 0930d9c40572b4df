"""`commits list|show`: the commit log, and what one commit made of which events."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from processor.cli.exits import CommandError, Exit
from processor.cli.options import ClusterName, ConfigFile, Output
from processor.cli.output import emit_document, emit_rows
from processor.cli.reach import Reach
from processor.cli.records import gist, row_of, time_of

if TYPE_CHECKING:
    from processor.engine.values import Record
    from processor.kafka.reader import RecordReader

LAST = 20
COLUMNS = (
    "seq",
    "kind",
    "committed",
    "epoch",
    "events",
    "changed",
    "rejected",
    "dead_lettered",
    "announcements",
    "digest",
)

IN_TABLES = {"ranges", "outcomes"}


def register(app: App) -> None:
    """Add this group's commands."""
    group = App(name="commits", help="The commit log.", result_action="return_value")
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
    """List commits, the newest last."""
    reach = Reach(config)
    partition = reach.partition_of(cluster)
    with reach.reader(reach.topics["commits"], (partition,)) as reader:
        rows = [_summary(reach.decode(record).value) for record in reader.last(count)]
    emit_rows(rows, output, columns=COLUMNS, name="seq")


def show(
    seq: Annotated[int, Parameter(help="The commit.")],
    *,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Print one commit: what it reduced, in order, and everything that it announced."""
    reach = Reach(config)
    partition = reach.partition_of(cluster)
    with reach.reader(reach.topics["commits"], (partition,)) as reader:
        record = _of_seq(reader, partition, seq)
    if record is None:
        raise CommandError(f"there is no commit {seq} in the log", Exit.DIFFERS)
    commit = reach.decode(record).value
    with reach.reader(reach.topics["changes"], (partition,)) as reader:
        announced = [row_of(reach.decode(one)) for one in _announced(reader, partition, seq, commit["announcements"])]
    if output == "table":
        _print_readable(commit, announced)
    else:
        emit_document({"commit": commit, "announcements": announced}, output)


def _print_readable(commit: dict[str, Any], announced: list[dict[str, Any]]) -> None:
    emit_document({name: value for name, value in _summary(commit).items() if name not in IN_TABLES}, "yaml")
    emit_rows(commit["ranges"], "table", columns=("topic", "partition", "from", "to", "count"), name="topic")
    emit_rows(commit["outcomes"], "table", columns=("outcome", "count"), name="outcome")
    rows = [{"key": row["key"], "what": gist(row)} for row in announced]
    emit_rows(rows, "table", columns=("key", "what"), name="key")


def _of_seq(reader: "RecordReader", partition: int, seq: int) -> "Record | None":
    from processor.locate import seq_of

    found = reader.search(partition, seq_of, seq)
    return found if found is not None and seq_of(found) == seq else None


def _announced(reader: "RecordReader", partition: int, seq: int, count: int) -> "list[Record]":
    from processor.locate import seq_of

    first = reader.search(partition, seq_of, seq) if count else None
    records: list[Record] = []
    for record in reader.until_end({partition: first.offset}) if first is not None else ():
        if seq_of(record) > seq or len(records) == count:
            break
        records.append(record)
    return records


def _summary(commit: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: value for name, value in commit.items() if name not in {"digest", "previous_digest"}},
        "events": sum(span["count"] for span in commit["ranges"]),
        "committed": time_of(commit["committed_ms"]),
        "digest": commit["digest"].hex(),
    }
