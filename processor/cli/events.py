"""`events tail`: decoded records of any of the five topics."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated

from cyclopts import App, Parameter

from processor.cli.context import CommandContext
from processor.cli.exits import usage
from processor.cli.options import COUNT_MAX, ClusterName, ConfigFile, Output, within
from processor.cli.output import emit_stream
from processor.cli.records import line_of, row_of
from processor.engine.inputs import Record, Watermarks
from processor.kafka.reader import RecordReader

LAST = 10


app = App(name="events")


@app.command
def tail(  # noqa: PLR0913 - the options of the command, all by keyword
    *,
    topic: Annotated[
        str, Parameter(help="Topic by name or role: high, normal, changes, commits, dead-letters.")
    ] = "changes",
    from_: Annotated[
        str | None, Parameter(name="--from", help="beginning, end or an offset; by default the last records.")
    ] = None,
    count: Annotated[
        int | None,
        Parameter(name=["--count", "-n"], help="Number of records; 10 unless --from is given."),
        within(1, COUNT_MAX),
    ] = None,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="", help="Wait for new records.")] = False,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Print records with their decoded values and headers, the oldest first."""
    if from_ is not None and not re.fullmatch(r"beginning|end|[0-9]{1,18}", from_):
        raise usage(f"--from {from_}: must be beginning, end or an offset")
    context = CommandContext(config)
    partitions = (context.partition_of(cluster),) if cluster is not None else None
    with context.reader(context.topic_named(topic), partitions) as reader:
        rows = (row_of(context.decode(record)) for record in _records(reader, from_, count, follow=follow))
        emit_stream(rows, output, line=line_of, name="key")


def _records(reader: RecordReader, from_: str | None, count: int | None, *, follow: bool) -> Iterator[Record]:
    if from_ is None:
        last = reader.last(LAST if count is None else count)
        yield from last
        if follow:
            yield from reader.follow(_after(reader, last), lambda: False)
        return
    starts = {partition: _start(marks, from_) for partition, marks in reader.watermarks().items()}
    records = reader.follow(starts, lambda: False) if follow else reader.until_end(starts)
    yield from islice(records, count)


def _after(reader: RecordReader, records: Iterable[Record]) -> dict[int, int]:
    after = {partition: marks.high for partition, marks in reader.watermarks().items()}
    return after | {record.partition: record.offset + 1 for record in records}


def _start(marks: Watermarks, from_: str) -> int:
    match from_:
        case "beginning":
            return marks.low
        case "end":
            return marks.high
        case _:
            return min(max(int(from_), marks.low), marks.high)
