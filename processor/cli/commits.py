"""`commits list|show`: the commit log, and one commit with its events and announcements."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from processor.cli.context import CommandContext
from processor.cli.exits import CommandError, Exit
from processor.cli.options import NUMBER_MAX, ClusterName, ConfigFile, Count, Output, within
from processor.cli.output import emit_document, emit_rows, note
from processor.cli.records import row_of, summary, time_of
from processor.engine.inputs import Record
from processor.history.commit_log import opened_once, seq_of
from processor.history.events import EVENTS_MAX, reduced_by
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
EVENT_COLUMNS = ("topic", "partition", "offset", "type", "id", "outcome", "code")


app = App(name="commits")


@app.command(name="list")
def list_(
    *,
    count: Count = LAST,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """List commits, the newest last."""
    context = CommandContext(config)
    partition = context.partition_of(cluster)
    with context.reader(context.topics["commits"], (partition,)) as reader:
        rows = [_summary(context.decode(record).value) for record in reader.last(count)]
    emit_rows(rows, output, columns=COLUMNS, name="seq")


@app.command
def show(
    seq: Annotated[int, Parameter(name="SEQ", help="The commit."), within(0, NUMBER_MAX)],
    *,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Print one commit: the events that it reduced, in order, with their outcomes, and its announcements.

    Events are read from the inputs as far as they are retained; missing ones are reported.
    """
    context = CommandContext(config)
    partition = context.partition_of(cluster)
    with context.reader(context.topics["commits"], (partition,)) as reader:
        record = _of_seq(reader, partition, seq)
    if record is None:
        raise CommandError(f"there is no commit {seq} in the log", Exit.DIFFERS)
    commit = context.decode(record).value
    with context.reader(context.topics["changes"], (partition,)) as reader:
        announced = [row_of(context.decode(one)) for one in _announced(reader, partition, seq, commit["announcements"])]
    events, missing = _reduced(context, commit)
    codes = {event: code for row in announced for event, code in _rejections(row)}
    rows = [{**event, "code": codes.get((event["topic"], event["partition"], event["offset"]))} for event in events]
    if output == "table":
        _print_readable(commit, rows, announced)
    else:
        document = {"commit": commit, "events": rows, "events_missing": missing, "announcements": announced}
        emit_document(document, output, name=str(seq))
    if output != "name":
        for sentence in missing:
            note(sentence)


def _reduced(context: CommandContext, commit: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the events of all ranges in order, and sentences about missing ones."""
    events: list[dict[str, Any]] = []
    missing: list[str] = []
    with ExitStack() as opened:
        open_ = opened_once(context.reader, opened)
        for span in commit["ranges"]:
            with open_(span["topic"], (span["partition"],)) as log:
                found = reduced_by(commit, span, log, context.decode, events_max=EVENTS_MAX - len(events))
            events += msgspec.to_builtins(found.events)
            missing += found.missing
    return events, missing


def _rejections(row: dict[str, Any]) -> Iterator[tuple[tuple[str, int, int], str]]:
    """Yield the event that an announcement rejects, and the code."""
    if row["type"].endswith(".EventRejected"):
        value = row["value"]
        yield (value["topic"], value["partition"], value["offset"]), value["code"]


def _print_readable(commit: dict[str, Any], events: list[dict[str, Any]], announced: list[dict[str, Any]]) -> None:
    facts = {name: value for name, value in _summary(commit).items() if name not in IN_TABLES}
    emit_document(facts, "table", name="")
    sys.stdout.write("\n")
    emit_rows(commit["ranges"], "table", columns=("topic", "partition", "from", "to", "count"), name="topic")
    sys.stdout.write("\n")
    emit_rows(events, "table", columns=EVENT_COLUMNS, name="id")
    sys.stdout.write("\n")
    rows = [{"key": row["key"], "what": summary(row)} for row in announced]
    emit_rows(rows, "table", columns=("key", "what"), name="key")


def _of_seq(reader: RecordReader, partition: int, seq: int) -> Record | None:
    found = reader.search(partition, seq_of, seq)
    return found if found is not None and seq_of(found) == seq else None


def _announced(reader: RecordReader, partition: int, seq: int, count: int) -> list[Record]:
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
