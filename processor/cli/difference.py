"""`state diff`: the differences between two points, or between a point and a file."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from cyclopts import Parameter

from processor.cli.context import CommandContext
from processor.cli.exits import Exit
from processor.cli.explain import field_text
from processor.cli.options import ClusterName, ConfigFile, Output
from processor.cli.output import cell, emit_report, note, table
from processor.cli.points import read_as, view_at
from processor.cli.remote import Server
from processor.cluster.difference import differences
from processor.history.points import point_of
from processor.history.stored import View
from processor.runtime.clock import now_ms

POINT = "now, seq:N, time:T, offset:TOPIC:PARTITION:OFFSET, revision:N, or a file of state export or state get -o json"
COLUMNS = ("kind", "name", "field", "before", "after")


def diff(
    a: Annotated[str, Parameter(name="A", help=f"The earlier point: {POINT}.", allow_leading_hyphen=True)],
    b: Annotated[str, Parameter(name="B", help="The later point, in the same forms.", allow_leading_hyphen=True)],
    /,
    *,
    server: Server = None,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Print the differences between two points, field by field.

    For example: processor state diff time:10m now
    Exit code 1 if there are any.
    """
    context = CommandContext(config, server=server)
    shard, now = context.partition_of(cluster), now_ms()
    points = [read_as(label, partial(point_of, now_ms=now), text) for label, text in (("A", a), ("B", b))]
    before, after = (view_at(context, shard, point) for point in points)
    found = differences(before.state, after.state)
    emit_report(
        {"a": described(before), "b": described(after), "differences": found},
        output,
        lines=table(list(rows_of(found)), COLUMNS) if found else (),
        names=names_of(found),
        name="",
    )
    if output == "table":
        note(f"{len(found)} entities differ" if found else "the two are equal")
    return Exit.DIFFERS if found else Exit.OK


def described(view: View) -> dict[str, Any]:
    """Return the origin of a state as plain JSON."""
    return {
        "seq": view.seq,
        "committed_ms": view.committed_ms,
        "digest": view.digest,
        "source": view.source,
    }


def names_of(found: list[dict[str, Any]]) -> list[str]:
    """Return the entities that differ as KIND/NAME."""
    return [f"{one['kind']}/{one['name']}" for one in found]


def rows_of(
    found: list[dict[str, Any]], *, before: str = "before", after: str = "after"
) -> Iterator[Mapping[str, Any]]:
    """Yield one row per differing field, and one per created or deleted entity, with its transitions.

    `before` and `after` name the columns.
    """
    for one in found:
        what = {"kind": one["kind"], "name": one["name"]}
        if one["op"] == "update":
            for field in one["fields"]:
                name = field["field"].rpartition(".")[2]
                row = {**what, "field": field["field"]}
                yield row | {before: field_text(name, field["before"]), after: field_text(name, field["after"])}
        else:
            came = one["op"] == "create"
            shown = cell([transition["type"] for transition in one["transitions"]])
            yield {**what, "field": "(created)" if came else "(deleted)", before: None, after: shown}
