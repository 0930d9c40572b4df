"""`shards list|adopt|accept-gap|announce|audit`: owners of shards, and decisions that only an operator can make."""

from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from processor.admin.session import operator
from processor.admin.shards import ShardView, audit_entries, shard_views
from processor.cli.context import CommandContext
from processor.cli.exits import Exit, usage
from processor.cli.options import NUMBER_MAX, ConfigFile, Execute, Output, within
from processor.cli.output import emit_document, emit_rows
from processor.cli.plans import Shard, check_servers, check_shard, emit_plan, note_plan, nothing_to_do
from processor.cli.records import seconds_since, time_of
from processor.engine.inputs import TopicFacts
from processor.engine.operator.adoption import adopt as adopt_shard
from processor.engine.operator.adoption import plan_adoption
from processor.engine.operator.moving import Move, facts_of, move, plan_acceptance
from processor.engine.operator.reannouncing import announce_again, announce_skip, plan_announcing
from processor.engine.operator.reannouncing import facts_of as doubts_of
from processor.engine.operator.transaction import known_head
from processor.engine.values import Head

COLUMNS = ("shard", "cluster", "owner", "epoch", "seq", "committed_s_ago", "outbox", "digest")


app = App(name="shards")


@app.command(name="list")
def list_(*, config: ConfigFile = None, output: Output = "table") -> None:
    """List the shards with their owners, as in the store."""
    context = CommandContext(config)
    with context.store() as client:
        rows = [row_of(view) for view in shard_views(client, context.settings)]
    emit_rows(rows, output, columns=COLUMNS, name="shard")


@app.command
def adopt(
    shard: Shard,
    *,
    execute: Execute = False,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Accept a state in the store that was edited by hand and no longer has the digest of its head.

    Stop the shard's processors first. The edit becomes a commit of kind repair, which the next owner announces.
    """
    context = CommandContext(config)
    check_shard(context, shard)
    with context.offline(shard, brokers=False) as parts:
        adoption = plan_adoption(parts)
        if not adoption.needed:
            raise nothing_to_do(f"shard {shard} has its head's digest: nothing to adopt")
        if execute:
            adoption = adopt_shard(parts, by=operator())
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
        name=str(shard),
    )
    note_plan(done=execute)
    return Exit.OK


@app.command
def accept_gap(
    shard: Shard,
    *,
    topic: Annotated[str, Parameter(help="The topic with the gap, by its name or its role.")],
    to: Annotated[
        int | None,
        Parameter(help="The offset at which reading resumes; not for an output topic."),
        within(0, NUMBER_MAX),
    ] = None,
    execute: Execute = False,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Accept that records of an input are gone, or that a topic was deleted and created again.

    The processors may run: a refused shard has no owner, and resumes by itself once the gap is accepted. The
    gap becomes a commit of kind gap. The records in it are never read.
    """
    context = CommandContext(config)
    check_shard(context, shard)
    name = context.topic_named(topic)
    check_servers(context)

    def plan(head: Head, facts: TopicFacts) -> Move:
        return plan_acceptance(head, facts, name, to, partition=shard)

    with context.offline(shard) as parts:
        planned = plan(known_head(parts, parts.store.load()), parts.source.facts())
        if not planned.needed:
            raise nothing_to_do(f"shard {shard} already reads {name} from there: nothing to accept")
        if execute:
            planned = move(parts, plan, action="accept-gap", by=operator())
    emit_plan({"shard": shard, "seq": planned.head.seq, **facts_of(planned)}, output, done=execute)
    return Exit.OK


@app.command
def announce(
    shard: Shard,
    *,
    again: Annotated[
        bool, Parameter(negative="", help="Publish them: consumers that have read them get them twice.")
    ] = False,
    skip: Annotated[
        bool, Parameter(negative="", help="Treat them as published: consumers that have not read them never get them.")
    ] = False,
    execute: Execute = False,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Decide about commits that may or may not have been published, after an output topic was emptied.

    Without --again or --skip they are listed. Consumers recognise repeats by `processor-number`.
    """
    if again and skip:
        raise usage("--again or --skip, not both")
    if execute and not (again or skip):
        raise usage("--execute needs --again or --skip")
    context = CommandContext(config)
    check_shard(context, shard)
    check_servers(context)
    with context.offline(shard) as parts:
        uncertainty = plan_announcing(parts)
        if not uncertainty.doubts:
            raise nothing_to_do(f"shard {shard}: the output shows what was published, nothing to decide")
        if execute:
            uncertainty = (announce_again if again else announce_skip)(parts, by=operator())
    decision = "again" if again else "skip" if skip else "undecided"
    emit_plan({"shard": shard, **doubts_of(uncertainty), "decision": decision}, output, done=execute)
    return Exit.OK


@app.command
def audit(shard: Shard, *, config: ConfigFile = None, output: Output = "table") -> None:
    """List the operator commands executed on a shard, the newest last."""
    context = CommandContext(config)
    check_shard(context, shard)
    with context.store() as client:
        entries = audit_entries(client, context.settings, shard)
    rows = [{"at": time_of(entry.at_ms), **msgspec.structs.asdict(entry)} for entry in entries]
    emit_rows(rows, output, columns=("at", "action", "by", "seq", "facts"), name="at_ms")


def row_of(view: ShardView) -> dict[str, Any]:
    """Return a shard as one row."""
    head, owner = view.head, view.owner
    return {
        "shard": view.shard,
        "cluster": view.cluster,
        "owner": owner.instance if owner else None,
        "epoch": view.epoch or None,
        "seq": head.seq if head else None,
        "committed_ms": head.committed_ms if head else None,
        "committed_s_ago": seconds_since(head.committed_ms) if head else None,
        "outbox": view.outbox,
        "digest": head.digest if head else None,
        "reducer_version": head.reducer_version if head else None,
    }
