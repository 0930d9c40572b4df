"""`replay`: the recorded events folded again, and compared with what was recorded then."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from processor.cli import snapshots
from processor.cli.exits import CommandError, Exit, invalid, usage
from processor.cli.options import ClusterName, ConfigFile, Output
from processor.cli.output import emit_document, note
from processor.cli.progress import Progress
from processor.cli.reach import Reach

if TYPE_CHECKING:
    from processor.replay.fold import Build
    from processor.replay.nearest import Shelf
    from processor.replay.replaying import Replayed, Start, Step
    from processor.replay.report import Report
    from processor.replay.sources import Sources
    from processor.replay.verifying import Verifier

FromSeq = Annotated[int | None, Parameter(name="--from-seq", help="Compare from this commit on.")]
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


def register(app: App) -> None:
    """Add this command."""
    app.command(replay)


def replay(  # noqa: PLR0913 - the options of the command
    *,
    from_seq: FromSeq = None,
    from_snapshot: FromSnapshot = None,
    to_seq: ToSeq = None,
    to_time: ToTime = None,
    to_offset: ToOffset = None,
    verify: Verify = False,
    snapshot: SnapshotFile = None,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Fold the recorded events again, in memory, in the order in which they were reduced.

    From the beginning, from a snapshot, or from what is nearest before --from-seq: a periodic snapshot, or the store's
    own history. Exit 1 when something differs from what was recorded, 5 when records are gone or cannot be read.
    """
    from processor.replay.errors import RecordsGone, Unreplayable

    if from_seq is not None and from_snapshot is not None:
        raise usage("one place to begin at: --from-seq or --from-snapshot")
    reach = Reach(config)
    shard = reach.partition_of(cluster)
    work = _Work(reach, shard)
    try:
        target = _target(reach, shard, to_seq, to_time, to_offset)
        start = work.start(from_seq, from_snapshot, target)
        report, replayed = work.run(target, start, from_seq=from_seq, verify=verify)
    except RecordsGone as error:
        raise CommandError(f"{error}. {work.advice()}", Exit.INVALID_DATA) from error
    except Unreplayable as error:
        raise CommandError(str(error), Exit.INVALID_DATA) from error
    _print(report, output)
    if snapshot is not None:
        written = snapshots.write(snapshot, snapshots.folded(reach, shard, replayed))
        note(f"{written['file']}: seq {written['seq']}, {written['entities']} entities, {written['bytes']} bytes")
    if report.agrees is False:
        raise CommandError("what was folded is not what was recorded", Exit.DIFFERS)


class _Work:
    """One replay of a shard with what it needs from outside."""

    def __init__(self, reach: Reach, shard: int) -> None:
        from processor.replay.wiring import cluster_build, cluster_sources

        self._reach = reach
        self._shard = shard
        self._build: Build = cluster_build(reach.settings, reach.catalogue)
        self._sources: Sources = cluster_sources(reach.connection, reach.topics, reach.catalogue, shard=shard)

    def start(self, from_seq: int | None, from_snapshot: Path | None, target: int) -> "Start":
        """Return where to begin. Raises Unreplayable, CommandError."""
        from processor.replay.nearest import Shelf
        from processor.replay.replaying import BEGINNING

        settings = self._reach.settings
        shelf = Shelf(
            settings.snapshots.directory,
            app=settings.app,
            shard=self._shard,
            cluster=settings.clusters[self._shard],
            note=note,
        )
        if from_seq is not None:
            if not 1 <= from_seq <= target:
                raise usage(f"--from-seq {from_seq}: there are commits 1 to {target}")
            return self._nearest(shelf, from_seq - 1)
        if from_snapshot is None:
            return BEGINNING
        try:
            start = shelf.start(from_snapshot, self._build)
        except OSError as error:
            raise invalid(str(error)) from error
        if start.seq > target:
            raise usage(f"{from_snapshot} is of seq {start.seq}, behind the last commit to fold, {target}")
        return start

    def _nearest(self, shelf: "Shelf", seq: int) -> "Start":
        """Return the nearest start before a commit: the store's history has it exactly, or not at all."""
        from processor.engine.errors import InvalidRequest, ShardRefused, StoreUnavailable
        from processor.replay.replaying import Start
        from processor.replay.standing import standing
        from processor.replay.storing import shard_keys

        kept = shelf.nearest(seq, self._build)
        if kept.seq == seq:
            return kept
        try:
            with self._reach.store() as client:
                found = standing(client, shard_keys(self._reach.settings, self._shard), self._build, seq=seq)
        except (InvalidRequest, ShardRefused, StoreUnavailable):
            return kept
        if found.restored.digest != found.head.digest:
            return kept
        return Start(found.head, found.restored.state, f"the store's history, seq {seq}")

    def advice(self) -> str:
        """Return what can still be done when records are gone."""
        from processor.replay.recorded import first_foldable

        first = first_foldable(self._sources)
        return (
            f"From seq {first} on all records are there: --from-seq {first} begins there if the store's history or a "
            f"snapshot of PROCESSOR_SNAPSHOTS__DIRECTORY has the state of {first - 1}, --from-snapshot at a file"
        )

    def run(self, target: int, start: "Start", *, from_seq: int | None, verify: bool) -> "tuple[Report, Replayed]":
        """Fold up to a commit."""
        from processor.replay.replaying import replay_to
        from processor.replay.report import report_of
        from processor.replay.verifying import Verifier

        before = start.head.digest if start.head else None
        verifier = Verifier(first=from_seq or 0, digest_before=before) if verify else None
        began_s = time.monotonic()
        with Progress(target - start.seq, "events") as progress:
            watch = _Watch(progress, verifier)
            replayed = replay_to(self._sources, self._build, target, start=start, watch=watch)
        seconds = time.monotonic() - began_s
        live = self._compare_with_store(replayed, verifier) if verifier else ""
        cluster = self._reach.settings.clusters[self._shard]
        report = report_of(cluster, start.seq, replayed, seconds=seconds, verifier=verifier, live=live)
        return report, replayed

    def _compare_with_store(self, replayed: "Replayed", verifier: "Verifier") -> str:
        from processor.engine.errors import StoreUnavailable
        from processor.etcd.failures import HistoryGoneError
        from processor.replay.live import compare_with
        from processor.replay.standing import standing
        from processor.replay.storing import shard_keys

        keys = shard_keys(self._reach.settings, self._shard)
        try:
            with self._reach.store() as client:
                found = standing(client, keys, self._build, seq=replayed.seq)
        except (HistoryGoneError, StoreUnavailable) as error:
            return f"not compared: {error}"
        for finding in compare_with(found.live, replayed, self._build.machine):
            verifier.find(finding)
        return f"compared at seq {found.head.seq}"


class _Watch:
    """Shows how far the replay has come and hands every commit on."""

    def __init__(self, progress: Progress, verifier: "Verifier | None") -> None:
        self._progress = progress
        self._verifier = verifier
        self._done = self._events = 0

    def __call__(self, step: "Step") -> None:
        self._done += 1
        self._events += len(step.events)
        self._progress.show(self._done, self._events)
        if self._verifier is not None:
            self._verifier(step)


def _target(reach: Reach, shard: int, to_seq: str | None, to_time: str | None, to_offset: str | None) -> int:
    """Return the last commit to fold."""
    from processor.cli.points import now_ms
    from processor.locate import CommitLog
    from processor.travel import points
    from processor.travel.traveller import seq_at

    if sum(option is not None for option in (to_seq, to_time, to_offset)) > 1:
        raise usage("one target at a time: --to-seq, --to-time or --to-offset")
    with reach.reader(reach.topics["commits"], (shard,)) as reader:
        log = CommitLog(reader, shard, lambda record: reach.decode(record).value)
        if to_seq is not None:
            return seq_at(log, points.at_seq(to_seq))
        if to_time is not None:
            return seq_at(log, points.at_time(to_time, now_ms=now_ms()))
        if to_offset is not None:
            return seq_at(log, points.at_offset(to_offset))
        return log.last().seq


def _print(report: "Report", output: Output) -> None:
    from processor.replay.report import document_of, lines_of

    if output in {"json", "yaml"}:
        emit_document(document_of(report), output)
    elif output == "name":
        sys.stdout.write(f"{report.digest}\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines_of(report))
