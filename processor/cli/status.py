"""`status`: the status of every shard, from the servers or from a running processor."""

from collections.abc import Mapping, Sequence
from typing import Any

from processor.admin.shards import input_marks, lag, shard_views, status_of
from processor.cli.context import CommandContext
from processor.cli.exits import Exit, usage
from processor.cli.options import ConfigFile, Output
from processor.cli.output import emit_rows, note
from processor.cli.records import seconds_since
from processor.cli.remote import Server, ask
from processor.cli.shards import row_of
from processor.kafka.brokers import refused_transactions
from processor.kafka.offsets import open_transactions
from processor.runtime.clock import now_ms

STORE_COLUMNS = (
    "shard",
    "cluster",
    "status",
    "owner",
    "epoch",
    "seq",
    "committed_s_ago",
    "high_lag",
    "normal_lag",
    "outbox",
)
SERVER_COLUMNS = ("shard", "cluster", "status", "phase", "owner", "epoch", "seq", "committed_s_ago", "outbox", "reason")


def status(*, server: Server = None, config: ConfigFile = None, output: Output = "table") -> int:
    """Print every shard with its owner, lag and outbox, from a processor's API or from the servers."""
    context = CommandContext(config, server=server)
    if context.settings.server is not None:
        rows = [_dated(shard) for shard in ask(context.settings.server, "status")["shards"]]
        return _report(rows, output, SERVER_COLUMNS)
    return _report(_from_store(context), output, STORE_COLUMNS)


def _from_store(context: CommandContext) -> list[dict[str, Any]]:
    rows = []
    with context.store() as client:
        views = shard_views(client, context.settings)
    if context.connection.embedded:
        raise usage("the broker is embedded: ask its processor with --server URL")
    refused = _refused_transactions(context)
    for view in views:
        marks = input_marks(context.settings, context.topics, view.shard)
        waiting = lag(view.head, marks)
        opened = open_transactions(marks, context.connection.bootstrap_servers)
        for sentence in opened:
            note(sentence)
        rows.append(
            {
                **row_of(view),
                "status": _at_most_degraded(status_of(view, sum(waiting.values()), now_ms()), refused),
                "high_lag": waiting[context.topics["high"]],
                "normal_lag": waiting[context.topics["normal"]],
                "open_transactions": opened,
            }
        )
    return rows


def _refused_transactions(context: CommandContext) -> str:
    """Return why no owner could publish, which neither etcd nor the topics show; empty if unknown."""
    if context.settings.publish.mode != "transactional":
        return ""
    refused = refused_transactions(context.connection) or ""
    if refused:
        note(refused)
    return refused


def _at_most_degraded(status: str, why: str) -> str:
    return "degraded" if why and status == "healthy" else status


def _dated(shard: Mapping[str, Any]) -> dict[str, Any]:
    committed_ms = shard["last_commit_ms"]
    return {**shard, "committed_s_ago": None if committed_ms is None else seconds_since(committed_ms)}


def _report(rows: Sequence[Mapping[str, Any]], output: Output, columns: Sequence[str]) -> int:
    emit_rows(rows, output, columns=columns, name="shard")
    return Exit.OK if rows and all(row["status"] == "healthy" for row in rows) else Exit.DIFFERS
