"""`replay`: the recorded events folded again, compared with what was recorded then, or with another history."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from processor.cli import snapshots
from processor.cli.context import CommandContext
from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import NUMBER_MAX, ClusterName, ConfigFile, Output, within
from processor.cli.output import emit_document, note
from processor.cli.replaying import ShardReplay
from processor.cli.whatif import compare, instead_of
from processor.runtime.files import check_readable

if TYPE_CHECKING:
    from processor.history.states import Past
    from processor.replay.report import Report

FromSeq = Annotated[
    int | None,
    Parameter(name="--from-seq", help="Begin before this commit, as near as can be."),
    within(1, NUMBER_MAX),
]
FromSnapshot = Annotated[Path | None, Parameter(name="--from-snapshot", help="Begin at a snapshot's file.")]
ToSeq = Annotated[str | None, Parameter(name="--to-seq", help="The last commit to fold; the last there is without.")]
ToTime = Annotated[str | None, Parameter(name="--to-time", help="Up to the last commit made by then.")]
ToOffset = Annotated[
    str | None, Parameter(name="--to-offset", help="Up to the commit that took in TOPIC:PARTITION:OFFSET.")
]
SnapshotFile = Annotated[
    Path | None, Parameter(name="--snapshot", help="Write the state at the end into this file, for state import.")
]
Verify = Annotated[
    bool,
    Parameter(
        name="--verify", negative="", help="Compare the digest and outcomes of every commit, and the store at the end."
    ),
]
Announcements = Annotated[
    bool,
    Parameter(
        name="--announcements", negative="", help="With --verify: make every announcement again, and compare the bytes."
    ),
]
WithEvents = Annotated[
    Path | None,
    Parameter(name="--with-events", help="What if these had come, too? One event a line: type, at_ms, data."),
]
AtSeq = Annotated[
    int | None,
    Parameter(name="--at-seq", help="They come right after this commit; 0: before all."),
    within(0, NUMBER_MAX),
]
Without = Annotated[
    tuple[str, ...], Parameter(name="--without", negative="", help="What if the event of this id had not come?")
]
Reducer = Annotated[
    str | None,
    Parameter(name="--reducer", help="What if this state machine had reduced them? MODULE:ATTRIBUTE, importable."),
]


def replay(  # noqa: PLR0913 - the options of the command
    *,
    from_seq: FromSeq = None,
    from_snapshot: FromSnapshot = None,
    to_seq: ToSeq = None,
    to_time: ToTime = None,
    to_offset: ToOffset = None,
    verify: Verify = False,
    announcements: Announcements = False,
    snapshot: SnapshotFile = None,
    with_events: WithEvents = None,
    at_seq: AtSeq = None,
    without: Without = (),
    reducer: Reducer = None,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Fold the recorded events again, in memory, in the order in which they were reduced.

    From the beginning, from a snapshot, or from what is nearest before --from-seq: a periodic snapshot, or the store's
    own history. With other events or another state machine, it tells where that history parts and what differs at the
    end. Exit 1 when something differs, 5 when records are gone or cannot be read.
    """
    _check_start(from_seq, from_snapshot)
    if announcements and not verify:
        raise usage("--announcements goes with --verify")
    instead = instead_of(with_events, at_seq, without, reducer)
    if instead is not None and (verify or snapshot):
        raise usage("another history is compared with the recorded one: without --verify and --snapshot")
    point, context = _point(to_seq, to_time, to_offset), CommandContext(config)
    shard = context.partition_of(cluster)
    work = ShardReplay(context, shard)
    with _told_what_is_gone(work):
        target = _target(context, shard, point)
        start = work.start(from_seq, from_snapshot, target)
        work.check_inputs(start)
        if instead is not None:
            compare(work, instead, target, start, output)
            return
        report, replayed = work.run(target, start, from_seq=from_seq, verify=verify, announcements=announcements)
    _print(report, output)
    if snapshot is not None:
        written = snapshots.write(snapshot, snapshots.folded(context, shard, replayed))
        note(f"{written['file']}: seq {written['seq']}, {written['entities']} entities, {written['bytes']} bytes")
    if report.agrees is False:
        raise CommandError("what was folded is not what was recorded", Exit.DIFFERS)
    if report.compared == 0 and report.commits:
        raise CommandError("no commit could be compared: this build has another version than all of them", Exit.DIFFERS)


def _check_start(from_seq: int | None, from_snapshot: Path | None) -> None:
    if from_seq is not None and from_snapshot is not None:
        raise usage("one place to begin at: --from-seq or --from-snapshot")
    if from_snapshot is not None:
        check_readable(from_snapshot)


@contextmanager
def _told_what_is_gone(work: ShardReplay) -> Iterator[None]:
    """Raise CommandError where what was recorded is not whole, with what can still be done."""
    from processor.replay.errors import RecordsGone, Unreplayable

    try:
        yield
    except RecordsGone as error:
        raise CommandError(f"{error}. {work.advice()}", Exit.INVALID_DATA) from error
    except Unreplayable as error:
        raise CommandError(str(error), Exit.INVALID_DATA) from error


def _point(to_seq: str | None, to_time: str | None, to_offset: str | None) -> "Past | None":
    """Return the point up to which to fold, None: all there is. Raises CommandError."""
    from processor.cli.points import now_ms, read_as
    from processor.history import points

    if sum(option is not None for option in (to_seq, to_time, to_offset)) > 1:
        raise usage("one target at a time: --to-seq, --to-time or --to-offset")
    if to_seq is not None:
        return read_as("--to-seq", points.at_seq, to_seq)
    if to_time is not None:
        return read_as("--to-time", partial(points.at_time, now_ms=now_ms()), to_time)
    return None if to_offset is None else read_as("--to-offset", points.at_offset, to_offset)


def _target(context: CommandContext, shard: int, point: "Past | None") -> int:
    """Return the last commit to fold."""
    from processor.cli.points import named
    from processor.history.commit_log import CommitLog
    from processor.history.states import seq_at

    with context.reader(context.topics["commits"], (shard,)) as reader:
        log = CommitLog(reader, shard, lambda record: context.decode(record).value)
        if point is not None:
            return seq_at(log, named(context, point))
        return log.last().seq if reader.last(1) else 0


def _print(report: "Report", output: Output) -> None:
    from processor.replay.report import document_of, lines_of

    if output in {"json", "yaml"}:
        emit_document(document_of(report), output, name=report.digest)
    elif output == "name":
        sys.stdout.write(f"{report.digest}\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines_of(report))
