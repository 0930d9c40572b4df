"""`rebuild`: folds all events with this build into a shadow of the live state, compares them, and swaps it in."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from cyclopts import Parameter

from processor.admin.rebuild import Comparison, Rebuild
from processor.admin.session import offline_parts, operator
from processor.cli.context import CommandContext
from processor.cli.difference import names_of, rows_of
from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import NUMBER_MAX, ConfigFile, Execute, Output, within
from processor.cli.output import emit_document, emit_report, note, table
from processor.cli.plans import check_servers, check_shard, note_plan
from processor.cli.points import past_in
from processor.cli.progress import Progress
from processor.cluster.difference import count_by_kind, differences
from processor.engine.values import Head
from processor.etcd.limits import Limits
from processor.etcd.shadow import Shadow
from processor.replay.replaying import Start, Step, counting, refold
from processor.replay.wiring import ShardPast

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
COLUMNS = ("kind", "name", "field", "live", "rebuilt")
ROWS_MAX = 200


def rebuild(  # noqa: PLR0913 - the options of the command
    *,
    into: Annotated[str, Parameter(help="Name of the shadow; lower case letters, digits, dashes.")],
    shard: Annotated[
        int | None, Parameter(help="Number of the shard, if there are several."), within(0, NUMBER_MAX)
    ] = None,
    promote: Annotated[bool, Parameter(negative="", help="Swap the shadow in for the live state.")] = False,
    abort: Annotated[bool, Parameter(negative="", help="Delete the shadow.")] = False,
    execute: Execute = False,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Fold all recorded events with this build, and compare with the live state.

    1. processor rebuild --into fix
    The processors may run: the live state is only read. The result is kept
    as a shadow named fix, for a day. Exit code 1 if something differs.

    2. processor rebuild --into fix --abort
    or stop the shard's processors, and
    processor rebuild --into fix --promote --execute
    The difference becomes one commit, which the next processor announces.
    """
    if not NAME.fullmatch(into):
        raise usage(f"{into!r} is not a valid name of a shadow: lower case letters, digits and dashes")
    if promote and abort:
        raise usage("--promote or --abort, not both")
    if execute and not promote:
        raise usage("--execute requires --promote: nothing else changes the live state")
    context = CommandContext(config)
    number = _shard(context, shard)
    check_servers(context)
    with _rebuild(context, into, number) as work:
        if abort:
            return _abort(work, into)
        if promote and execute:
            return _promote(work, into, output)
        compared = work.compare() if promote else work.make()
    found = _report(compared, into, number, output)
    if promote:
        note_plan(done=False)
    return Exit.DIFFERS if found else Exit.OK


def _shard(context: CommandContext, shard: int | None) -> int:
    if shard is None and len(context.settings.clusters) > 1:
        raise usage(f"which shard? --shard 0 to {len(context.settings.clusters) - 1}")
    number = shard or 0
    check_shard(context, number)
    return number


def _abort(work: Rebuild, into: str) -> int:
    count = work.abort()
    if not count:
        raise CommandError(f"there is no shadow {into!r}: nothing to delete", Exit.DIFFERS)
    note(f"deleted the shadow {into!r}, {count} keys")
    return Exit.OK


def _promote(work: Rebuild, into: str, output: Output) -> int:
    swapped = work.promote(by=operator(), facts={"into": into})
    seq = swapped.head.seq + 1 if swapped.needed else swapped.head.seq
    document = {"into": into, "seq": seq, "changed": len(swapped.changes), "done": swapped.needed}
    emit_document(document, output, name=into)
    if swapped.needed:
        note(f"commit {seq} was made; the next processor of the shard announces it")
    else:
        note("the live state is already equal: nothing was committed")
    return Exit.OK


def _report(compared: Comparison, into: str, shard: int, output: Output) -> list[dict[str, Any]]:
    head, found = compared.head, differences(compared.live, compared.rebuilt)
    counts = count_by_kind(found)
    document = {
        "into": into,
        "shard": shard,
        "seq": head.seq,
        "digests": {"live": head.digest, "rebuilt": compared.digest},
        "reducer_versions": {"live": head.reducer_version, "rebuilt": compared.reducer_version},
        "by_kind": counts,
        "differences": found,
    }
    rows = list(rows_of(found, before="live", after="rebuilt"))
    lines = table(rows[:ROWS_MAX], COLUMNS) if rows else ()
    emit_report(document, output, lines=lines, names=names_of(found), name=into)
    if output == "table" and len(rows) > ROWS_MAX:
        note(f"… {len(rows) - ROWS_MAX} more rows; -o json shows all")
    for kind, operations in counts.items():
        note(f"{kind}: {', '.join(f'{count} {operation}d' for operation, count in operations.items())}")
    if not found:
        note(f"the rebuilt state equals the live one at seq {head.seq}")
    return found


@contextmanager
def _rebuild(context: CommandContext, into: str, shard: int) -> Iterator[Rebuild]:
    settings = context.settings
    limits = Limits(settings.etcd.txn_ops_max, settings.etcd.request_bytes_max)
    with context.store() as client, offline_parts(settings, shard, context.topics) as parts:
        shadow = Shadow(client, settings.etcd.prefix, settings.app, into, shard, limits=limits)
        yield Rebuild(parts, shadow, _Refold(past_in(context, shard)))


class _Refold:
    """Folds what was recorded and shows the progress."""

    def __init__(self, past: ShardPast) -> None:
        self._past = past
        self._failed = 0

    def __call__(self, state: Any, head: Head | None, target: int) -> Any:
        past, start = self._past, Start(head, state)
        past.await_published(target)
        with Progress("events") as progress:
            watch = counting(progress.show, target - start.seq, self._count_failed)
            rebuilt = refold(past.sources, past.build, start, target, watch=watch)
        if self._failed:
            note(f"{self._failed} events could not be reduced by this build, and were skipped")
        return rebuilt

    def _count_failed(self, step: Step) -> None:
        if step.reduction is not None:
            self._failed += len(step.reduction.dead)
