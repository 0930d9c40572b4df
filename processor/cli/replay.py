"""`replay`: the recorded events folded again, and compared with what was recorded then."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import ClusterName, ConfigFile, Output
from processor.cli.output import emit_document
from processor.cli.progress import Progress
from processor.cli.reach import Reach

if TYPE_CHECKING:
    from processor.replay.fold import Build
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
    to_seq: ToSeq = None,
    to_time: ToTime = None,
    to_offset: ToOffset = None,
    verify: Verify = False,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Fold the recorded events again, in memory, in the order in which they were reduced.

    Exit 1 when something differs from what was recorded, 5 when records are gone or cannot be read.
    """
    from processor.replay.errors import Unreplayable

    reach = Reach(config)
    shard = reach.partition_of(cluster)
    try:
        target = _target(reach, shard, to_seq, to_time, to_offset)
        report = _Work(reach, shard).run(target, from_seq=from_seq, verify=verify)
    except Unreplayable as error:
        raise CommandError(str(error), Exit.INVALID_DATA) from error
    _print(report, output)
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

    def run(self, target: int, *, from_seq: int | None, verify: bool) -> "Report":
        """Fold up to a commit."""
        from processor.replay.replaying import BEGINNING, replay_to
        from processor.replay.report import report_of
        from processor.replay.verifying import Verifier

        start: Start = BEGINNING
        verifier = Verifier(first=from_seq or 0) if verify else None
        began_s = time.monotonic()
        with Progress(target - start.seq, "events") as progress:
            watch = _Watch(progress, verifier)
            replayed = replay_to(self._sources, self._build, target, start=start, watch=watch)
        seconds = time.monotonic() - began_s
        live = self._compare_with_store(replayed, verifier) if verifier else ""
        cluster = self._reach.settings.clusters[self._shard]
        return report_of(cluster, start.seq, replayed, seconds=seconds, verifier=verifier, live=live)

    def _compare_with_store(self, replayed: "Replayed", verifier: "Verifier") -> str:
        from processor.engine.errors import StoreUnavailable
        from processor.etcd.failures import HistoryGoneError
        from processor.etcd.layout import ShardKeys
        from processor.replay.live import compare_with
        from processor.replay.standing import standing

        settings = self._reach.settings
        keys = ShardKeys(settings.etcd.prefix, settings.app, self._shard)
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
