"""`shards list|adopt`: who owns what, and accepting a foreign edit."""

import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import ConfigFile, Execute, Output
from processor.cli.output import emit_document, emit_rows, note
from processor.cli.reach import Reach

if TYPE_CHECKING:
    from processor.inspection import ShardView

COLUMNS = ("shard", "cluster", "owner", "epoch", "seq", "committed_s_ago", "outbox", "digest")


def register(app: App) -> None:
    """Add this group's commands."""
    group = App(name="shards", help="Shards and their owners.", result_action="return_value")
    group.command(list_, name="list")
    group.command(adopt)
    app.command(group)


def list_(*, config: ConfigFile = None, output: Output = "table") -> None:
    """List the shards with their owners, as the store has them."""
    from processor.inspection import shard_views

    reach = Reach(config)
    with reach.store() as client:
        rows = [row_of(view) for view in shard_views(client, reach.settings)]
    emit_rows(rows, output, columns=COLUMNS, name="shard")


def adopt(
    shard: Annotated[int, Parameter(name="SHARD", help="Number of the shard.")],
    *,
    execute: Execute = False,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Accept what stands in the store although its digest says otherwise: somebody edited it without the head.

    Stop the shard's processors first. The edit becomes a commit of kind repair, which the next owner announces.
    """
    from processor.engine.adoption import adopt as adopt_shard
    from processor.engine.adoption import plan_adoption
    from processor.offline import offline_parts

    reach = Reach(config)
    if shard not in range(len(reach.settings.clusters)):
        raise usage(f"there is no shard {shard}: there are {len(reach.settings.clusters)}")
    with offline_parts(reach.settings, shard) as parts:
        adoption = plan_adoption(parts)
        if not adoption.needed:
            raise CommandError(f"shard {shard} has its head's digest: there is nothing to adopt", Exit.DIFFERS)
        if execute:
            adoption = adopt_shard(parts)
    emit_document(
        {
            "shard": shard,
            "seq": adoption.head.seq,
            "digest_of_head": adoption.head.digest,
            "digest_found": adoption.found_digest,
            "edited": list(adoption.named),
            "adopted": execute,
        },
        output,
    )
    if not execute:
        note("this is the plan: add --execute to adopt")
    return Exit.OK


def row_of(view: "ShardView") -> dict[str, Any]:
    """Return a shard as one row."""
    head, owner = view.head, view.owner
    return {
        "shard": view.shard,
        "cluster": view.cluster,
        "owner": owner.instance if owner else None,
        "epoch": view.epoch or None,
        "seq": head.seq if head else None,
        "committed_ms": head.committed_ms if head else None,
        "committed_s_ago": round(time.time() - head.committed_ms / 1000, 1) if head else None,
        "outbox": view.outbox,
        "digest": head.digest if head else None,
        "reducer_version": head.reducer_version if head else None,
    }
