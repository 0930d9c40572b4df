"""Shared by commands with --execute: checks before the plan, and the output of a planned or executed change."""

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from processor.cli.context import CommandContext
from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import NUMBER_MAX, Output, within
from processor.cli.output import emit_document, note

Shard = Annotated[int, Parameter(name="SHARD", help="Number of the shard."), within(0, NUMBER_MAX)]


def check_shard(context: CommandContext, shard: int) -> None:
    """Raise CommandError if the settings have no such shard."""
    if shard not in range(len(context.settings.clusters)):
        raise usage(f"there is no shard {shard}: the clusters make shards 0 to {len(context.settings.clusters) - 1}")


def check_servers(context: CommandContext) -> None:
    """Raise CommandError if the broker is embedded, Retry if none answers."""
    if context.connection.embedded:
        raise usage("not for an embedded processor: its store and topics end with the process")


def nothing_to_do(sentence: str) -> CommandError:
    """Return the error of a command whose plan is empty."""
    return CommandError(sentence, Exit.DIFFERS)


def emit_plan(document: Mapping[str, Any], output: Output, *, done: bool) -> None:
    """Print a planned or executed change."""
    emit_document({**document, "done": done}, output, name=str(document["shard"]))
    note_plan(done=done)


def note_plan(*, done: bool) -> None:
    """Note on stderr that a plan was not executed."""
    if not done:
        note("this is the plan, nothing was changed: add --execute to execute it")
