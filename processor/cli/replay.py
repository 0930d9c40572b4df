"""`replay`: folds the recorded events again, and compares with the recorded commits or with another history."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from processor.cli import snapshots
from processor.cli.context import CommandContext
from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import NUMBER_MAX, ClusterName, ConfigFile, Output, within
from processor.cli.output import emit_document, note
from processor.cli.points import named, past_in, read_as
from processor.cli.progress import Progress
from processor.cli.whatif import changes_of, compare
from processor.history import points
from processor.history.points import Past
from processor.replay.errors import RecordsGone, Unreplayable
from processor.replay.recording import first_foldable
from processor.replay.replaying import BEGINNING, Start
from processor.replay.running import Report, document_of, lines_of, replay_shard, verify_shard
from processor.replay.snapshots import Snapshot
from processor.replay.wiring import ShardPast
from processor.runtime.clock import now_ms
from processor.runtime.files import check_readable

FromSeq = Annotated[
    int | None,
    Parameter(name="--from-seq", help="Start before this commit, as close as possible."),
    within(1, NUMBER_MAX),
]
FromSnapshot = Annotated[Path | None, Parameter(name="--from-snapshot", help="Start at a snapshot file.")]
ToSeq = Annotated[str | None, Parameter(name="--to-seq", help="The last commit to fold; by default the last one.")]
ToTime = Annotated[str | None, Parameter(name="--to-time", help="Up to the last commit made at or before this time.")]
ToOffset = Annotated[
    str | None, Parameter(name="--to-offset", help="Up to the commit that reduced TOPIC:PARTITION:OFFSET.")
]
SnapshotFile = Annotated[
    Path | None, Parameter(name="--snapshot", help="Write the final state to this file, for state import.")
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
        name="--announcements",
        negative="",
        help="With --verify: encode every announcement again, and compare the bytes.",
    ),
]
WithEvents = Annotated[
    Path | None,
    Parameter(name="--with-events", help="What if these events had come, too? One per line: type, at_ms, data."),
]
AtSeq = Annotated[
    int | None,
    Parameter(name="--at-seq", help="They come right after this commit; 0: before all commits."),
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

    Starts at the beginning, at a snapshot, or at the closest state before --from-seq: a periodic snapshot, or the
    store's history. With other events or another state machine, it prints where that history diverges and what differs
    at the end. Exit 1 if something differs, 5 if records are gone or cannot be read.
    """
    _check_options(from_seq, from_snapshot, verify=verify, announcements=announcements)
    changes = changes_of(with_events, at_seq, without, reducer)
    if changes is not None and (verify or snapshot):
        raise usage("--with-events, --without and --reducer exclude --verify and --snapshot")
    point, context = _point(to_seq, to_time, to_offset), CommandContext(config)
    past = past_in(context, context.partition_of(cluster))
    with _advised(past):
        target = past.seq_at(None if point is None else named(context, point))
        start = _start(past, from_seq, from_snapshot, target)
        past.check_inputs(start)
        if changes is not None:
            compare(past, changes, target, start, output)
            return
        with Progress("events") as progress:
            run = partial(verify_shard, first=from_seq or 0, announcements=announcements) if verify else replay_shard
            report, replayed = run(past, start, target, progress.show)
    _print(report, output)
    if snapshot is not None:
        _write(snapshot, past.snapshot_of(replayed))
    _check(report)


def _write(file: Path, snapshot: Snapshot) -> None:
    written = snapshots.write(file, snapshot)
    note(f"{written['file']}: seq {written['seq']}, {written['entities']} entities, {written['bytes']} bytes")


def _check(report: Report) -> None:
    """Raise CommandError if the fold differs from the recorded commits, or nothing could be compared."""
    if report.agrees is False:
        raise CommandError("the folded commits differ from the recorded ones", Exit.DIFFERS)
    if report.compared == 0 and report.commits:
        raise CommandError("no commit could be compared: none was made by the version of this build", Exit.DIFFERS)


def _check_options(from_seq: int | None, from_snapshot: Path | None, *, verify: bool, announcements: bool) -> None:
    if from_seq is not None and from_snapshot is not None:
        raise usage("one start at a time: --from-seq or --from-snapshot")
    if announcements and not verify:
        raise usage("--announcements goes with --verify")
    if from_snapshot is not None:
        check_readable(from_snapshot)


def _start(past: ShardPast, from_seq: int | None, from_snapshot: Path | None, target: int) -> Start:
    """Return where folding begins. Raises CommandError, Unreplayable."""
    if from_seq is not None:
        if not 1 <= from_seq <= target:
            raise usage(f"--from-seq {from_seq}: there are commits 1 to {target}")
        return past.start_before(from_seq)
    if from_snapshot is None:
        return BEGINNING
    try:
        start = past.snapshots.start(from_snapshot, past.build)
    except OSError as error:
        raise usage(f"cannot read {from_snapshot}: {error.strerror}") from error
    if start.seq > target:
        raise usage(f"{from_snapshot} has seq {start.seq}, after the last commit to fold, {target}")
    return start


@contextmanager
def _advised(past: ShardPast) -> Iterator[None]:
    """Add to an error of missing records from where a fold is still possible."""
    try:
        yield
    except RecordsGone as error:
        raise CommandError(f"{error}. {_advice(past)}", Exit.INVALID_DATA) from error


def _advice(past: ShardPast) -> str:
    try:
        first = first_foldable(past.sources)
    except Unreplayable as error:
        return f"The commit log does not show which records are complete: {error}"
    return (
        f"All records from seq {first} on are available: --from-seq {first} starts there if the store's history or a "
        f"snapshot in PROCESSOR_SNAPSHOTS__DIRECTORY has the state of {first - 1}, --from-snapshot starts at a file"
    )


def _point(to_seq: str | None, to_time: str | None, to_offset: str | None) -> Past | None:
    """Return the point up to which to fold, None: all there is. Raises CommandError."""
    if sum(option is not None for option in (to_seq, to_time, to_offset)) > 1:
        raise usage("one target at a time: --to-seq, --to-time or --to-offset")
    if to_seq is not None:
        return read_as("--to-seq", points.at_seq, to_seq)
    if to_time is not None:
        return read_as("--to-time", partial(points.at_time, now_ms=now_ms()), to_time)
    return None if to_offset is None else read_as("--to-offset", points.at_offset, to_offset)


def _print(report: Report, output: Output) -> None:
    if output in {"json", "yaml"}:
        emit_document(document_of(report), output, name=report.digest)
    elif output == "name":
        sys.stdout.write(f"{report.digest}\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines_of(report))
