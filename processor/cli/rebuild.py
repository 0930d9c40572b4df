"""`rebuild`: fold everything with this build beside the live state, compare, and swap it in."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from cyclopts import Parameter

from processor.admin.rebuild import Comparison, Rebuild
from processor.admin.session import offline_parts, operator
from processor.cli.context import CommandContext
from processor.cli.difference import rows_of
from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import NUMBER_MAX, ConfigFile, Execute, Output, within
from processor.cli.output import Row, emit_document, emit_rows, note
from processor.cli.plans import check_servers, check_shard, note_plan
from processor.cli.points import past_in
from processor.cli.progress import Progress
from processor.cluster.difference import count_by_kind, differences
from processor.engine.values import Head
from processor.etcd.shadow import Shadow
from processor.etcd.transaction import Limits
from processor.replay.replaying import Start, Step, counting, refold
from processor.replay.wiring import ShardPast

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
COLUMNS = ("kind", "name", "field", "live", "rebuilt")
ROWS_MAX = 200


def rebuild(  # noqa: PLR0913 - the options of the command
    *,
    into: Annotated[str, Parameter(help="Name of the shadow; lower case letters, digits, dashes.")],
    shard: Annotated[
        int | None, Parameter(help="Number of the shard, where there are several."), within(0, NUMBER_MAX)
    ] = None,
    promote: Annotated[bool, Parameter(negative="", help="Swap the shadow in for the live state.")] = False,
    abort: Annotated[bool, Parameter(negative="", help="Take the shadow away; nothing is left of it.")] = False,
    execute: Execute = False,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Fold all recorded events with this build, and say what differs from the live state.

    1. processor rebuild --into fix
    The processors may run: the live state is only looked at. The result is
    kept as a shadow named fix, for a day. Exit code 1 when something differs.

    2. processor rebuild --into fix --abort
    or stop the shard's processors, and
    processor rebuild --into fix --promote --execute
    The difference becomes one commit, which the next processor announces.
    """
    if not NAME.fullmatch(into):
        raise usage(f"{into!r} is no name for a shadow: lower case letters, digits and dashes")
    if promote and abort:
        raise usage("--promote or --abort, not both")
    if execute and not promote:
        raise usage("only --promote changes the live state: --execute belongs to it")
    context = CommandContext(config)
    number = _shard(context, shard)
    check_servers(context)
    with _rebuild(context, into, number) as work:
        if abort:
            return _abort(work, into)
        if promote and execute:
            return _promote(work, into, output)
        compared = work.compare() if promote else work.make()
    found = _told(compared, into, number, output)
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
        raise CommandError(f"there is no shadow {into!r}: nothing to take away", Exit.DIFFERS)
    note(f"the shadow {into!r} is gone, {count} keys")
    return Exit.OK


def _promote(work: Rebuild, into: str, output: Output) -> int:
    swapped = work.promote(by=operator(), facts={"into": into})
    seq = swapped.head.seq + 1 if swapped.needed else swapped.head.seq
    document = {"into": into, "seq": seq, "changed": len(swapped.changes), "done": swapped.needed}
    emit_document(document, output, name=into)
    if swapped.needed:
        note(f"commit {seq} is made; the next processor of the shard announces it")
    else:
        note("the live state is the same already: nothing was committed")
    return Exit.OK


def _told(compared: Comparison, into: str, shard: int, output: Output) -> list[dict[str, Any]]:
    head, found = compared.head, differences(compared.live, compared.rebuilt)
    counts = count_by_kind(found)
    match output:
        case "table":
            _print_rows(list(rows_of(found, before="live", after="rebuilt")))
        case "name":
            sys.stdout.writelines(f"{one['kind']}/{one['name']}\n" for one in found)
        case _:
            emit_document(
                {
                    "into": into,
                    "shard": shard,
                    "seq": head.seq,
                    "digests": {"live": head.digest, "rebuilt": compared.digest},
                    "reducer_versions": {"live": head.reducer_version, "rebuilt": compared.reducer_version},
                    "by_kind": counts,
                    "differences": found,
                },
                output,
                name=into,
            )
    for kind, operations in counts.items():
        note(f"{kind}: {', '.join(f'{count} {operation}d' for operation, count in operations.items())}")
    if not found:
        note(f"at seq {head.seq} the rebuilt state is the live one")
    return found


def _print_rows(rows: list[Row]) -> None:
    if rows:
        emit_rows(rows[:ROWS_MAX], "table", columns=COLUMNS, name="name")
    if len(rows) > ROWS_MAX:
        note(f"… {len(rows) - ROWS_MAX} rows more; -o json shows all")


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
            note(f"{self._failed} events could not be reduced by this build, and were passed over")
        return rebuilt

    def _count_failed(self, step: Step) -> None:
        if step.reduction is not None:
            self._failed += len(step.reduction.dead)
