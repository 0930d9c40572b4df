"""`state export|import`: writes the state of a shard to a file, and such a file to an empty store."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from processor.admin.session import operator
from processor.cli.context import CommandContext
from processor.cli.exits import Exit, usage
from processor.cli.options import ClusterName, ConfigFile, Execute, Output
from processor.cli.output import emit_document, note
from processor.cli.plans import check_servers, emit_plan
from processor.cli.records import time_of
from processor.engine.errors import NeverRun
from processor.engine.recovery import Restored
from processor.history.commit_log import revision_of, seq_of
from processor.replay.importing import Logged, import_snapshot, plan_import
from processor.replay.snapshot_writer import stored_snapshot
from processor.replay.snapshots import Snapshot, restored_from, write_snapshot
from processor.replay.wiring import cluster_build, snapshot_directory

File = Annotated[Path, Parameter(name="FILE", help="The snapshot's file.")]


def export(file: File, *, cluster: ClusterName = None, config: ConfigFile = None, output: Output = "table") -> None:
    """Write the current state in the store to a file: entities, positions, digest, and the next number.

    The file is compressed and has a checksum; `replay --from-snapshot` and `state import` take it. `replay --snapshot`
    writes one of any commit.
    """
    context = CommandContext(config)
    shard = context.partition_of(cluster)
    with context.store() as client:
        snapshot = stored_snapshot(client, context.settings, shard)
    if snapshot is None:
        raise NeverRun
    restored_from(Path("the store"), snapshot, cluster_build(context.settings, context.catalogue))
    emit_document(write(file, snapshot), output, name=str(file))


def import_(
    file: File,
    *,
    execute: Execute = False,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Write a snapshot to a store without data of the shard: after a loss of etcd, or for a copy elsewhere.

    The file is checked whole first: checksum, digest, versions. Without --execute the store is only looked at. A shard
    that has a head is never overwritten. What the commit log has beyond the snapshot is to be folded first.
    """
    context = CommandContext(config)
    shard = context.partition_of(cluster)
    snapshot, _ = read(context, shard, file)
    check_servers(context)
    with context.offline(shard) as parts:
        planned = plan_import(parts, snapshot, logged=_logged(context, shard))
        if execute:
            import_snapshot(parts, snapshot, planned, by=operator(), file=str(file))
    for warning in planned.warnings:
        note(f"warning: {warning}")
    emit_plan({**facts_of(file, snapshot), "warnings": list(planned.warnings)}, output, done=execute)
    return Exit.OK


def read(context: CommandContext, shard: int, file: Path) -> tuple[Snapshot, Restored]:
    """Return what a file holds, and its state. Raises CommandError, SnapshotDamaged, ShardRefused (newer build's)."""
    build = cluster_build(context.settings, context.catalogue)
    try:
        return snapshot_directory(context.settings, shard, note).read(file, build)
    except OSError as error:
        raise usage(f"cannot read {file}: {error.strerror}") from error


def write(file: Path, snapshot: Snapshot) -> dict[str, Any]:
    """Write a file and return a summary. Raises CommandError."""
    try:
        size_bytes = write_snapshot(file, snapshot)
    except OSError as error:
        raise usage(f"cannot write {file}: {error.strerror}") from error
    return {**facts_of(file, snapshot), "bytes": size_bytes}


def facts_of(file: Path, snapshot: Snapshot) -> dict[str, Any]:
    """Return a summary of a snapshot."""
    head = snapshot.head
    return {
        "file": str(file),
        "app": snapshot.app,
        "shard": snapshot.shard,
        "cluster": snapshot.cluster,
        "seq": head.seq,
        "committed": time_of(head.committed_ms),
        "digest": head.digest,
        "reducer_version": head.reducer_version,
        "entities": len(snapshot.entities),
        "positions": head.positions,
        "next_number": head.announcements,
    }


def _logged(context: CommandContext, shard: int) -> Logged | None:
    """Return the last commit in the log, None if it is empty."""
    with context.reader(context.topics["commits"], (shard,)) as reader:
        return next((Logged(seq_of(record), revision_of(record)) for record in reader.last(1)), None)
