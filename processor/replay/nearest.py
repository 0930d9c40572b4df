"""The best place to begin a fold: the newest periodic snapshot that is whole and not beyond what is wanted."""

from collections.abc import Callable
from pathlib import Path

from processor.engine.recovery import Restored
from processor.replay.errors import SnapshotDamaged
from processor.replay.fold import Build
from processor.replay.replaying import BEGINNING, Start
from processor.replay.snapshot import Snapshot, check_owner, kept_in, read_snapshot, restored_from


class SnapshotDirectory:
    """One shard's periodic snapshots; no directory: there are none. `note` hears in words of files passed by."""

    def __init__(
        self, directory: Path | None, *, app: str, shard: int, cluster: str, note: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._app = app
        self._shard = shard
        self._cluster = cluster
        self._note = note

    def nearest(self, seq: int, build: Build) -> Start:
        """Return the last start at or before `seq`; the beginning when there is no other."""
        if self._directory is None or not self._directory.is_dir():
            return BEGINNING
        kept = kept_in(self._directory, self._app, self._shard)
        for at in sorted(kept, reverse=True):
            if at <= seq:
                try:
                    return self.start(kept[at], build)
                except (SnapshotDamaged, OSError) as error:
                    self._note(f"{error}: passed by")
        return BEGINNING

    def start(self, path: Path, build: Build) -> Start:
        """Return the start that a file gives. Raises SnapshotDamaged, ShardRefused (a newer build's), OSError."""
        snapshot, restored = self.read(path, build)
        return Start(snapshot.head, restored.state, f"{path}, seq {snapshot.head.seq}")

    def read(self, path: Path, build: Build) -> tuple[Snapshot, Restored]:
        """Return what a file holds, and its state with its digest computed again. Raises as `start`."""
        snapshot = read_snapshot(path)
        check_owner(path, snapshot, app=self._app, shard=self._shard, cluster=self._cluster)
        return snapshot, restored_from(path, snapshot, build)
