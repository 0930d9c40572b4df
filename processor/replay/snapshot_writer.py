"""Periodic snapshots of the shards that this process owns, written by a thread beside the loop that commits.

The thread shares nothing with the loop: a client of its own reads the store at one revision, and the values are written
as stored, without decoding. Whether a state has its head's digest is checked when a snapshot is used.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from processor.assembly.connections import etcd_client
from processor.configuration.settings import Settings
from processor.engine.errors import ProcessorError
from processor.etcd.client import EtcdClient
from processor.etcd.layout import ShardKeys
from processor.etcd.snapshot import read_shard
from processor.replay.snapshots import Snapshot, file_name, kept_in, write_snapshot
from processor.runtime.clock import now_ms

LOOK_INTERVAL_S = 1.0
STOP_TIMEOUT_S = 2.0
RETRY_INTERVAL_S = 60.0


class SnapshotWriter:
    """Writes a snapshot of each owned shard every `interval_s`, if it changed, and deletes all but the last few.

    `owned` gives shard → seq of what this process owns now; `read` what the store has of a shard, None before its
    first commit. `log` hears of each file and each failure.
    """

    def __init__(  # noqa: PLR0913 - each is a part handed in, by keyword
        self,
        directory: Path,
        *,
        interval_s: float,
        keep_count: int,
        owned: Callable[[], Mapping[int, int]],
        read: Callable[[int], Snapshot | None],
        log: Callable[..., None],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._interval_s = interval_s
        self._keep_count = keep_count
        self._owned = owned
        self._read = read
        self._log = log
        self._monotonic_s = monotonic_s
        self._due_s: dict[int, float] = {}
        self._written: dict[int, int] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; call once."""
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, waiting briefly for the thread: a file is written whole or not at all. Safe to call repeatedly."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def run_once(self) -> None:
        """Write what is due."""
        owned = self._owned()
        self._due_s = {shard: due_s for shard, due_s in self._due_s.items() if shard in owned}
        for shard, seq in owned.items():
            if self._monotonic_s() < self._due_s.get(shard, 0.0) or seq == self._written.get(shard):
                continue
            pause_s = self._interval_s
            try:
                self._write(shard)
            except (ProcessorError, OSError) as error:
                pause_s = min(pause_s, RETRY_INTERVAL_S)
                self._log("snapshot_failed", shard=shard, reason=str(error))
            self._due_s[shard] = self._monotonic_s() + pause_s

    def _write(self, shard: int) -> None:
        snapshot = self._read(shard)
        if snapshot is None:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / file_name(snapshot.app, shard, snapshot.head.seq)
        size_bytes = write_snapshot(path, snapshot)
        self._written[shard] = snapshot.head.seq
        facts: dict[str, Any] = {"shard": shard, "seq": snapshot.head.seq, "file": str(path), "bytes": size_bytes}
        self._log("snapshot_written", **facts)
        kept = list(kept_in(self._directory, snapshot.app, shard).values())
        for old in kept[: -self._keep_count]:
            old.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_INTERVAL_S):
            self.run_once()


def stored_snapshot(client: EtcdClient, settings: Settings, shard: int) -> Snapshot | None:
    """Return a shard as the store has it, None before its first commit. Raises StoreUnavailable, ShardRefused."""
    stored = read_shard(client, ShardKeys(settings.etcd.prefix, settings.app, shard)).snapshot
    if stored.head is None:
        return None
    return Snapshot(settings.app, shard, settings.clusters[shard], now_ms(), stored.head, stored.entities)


@contextmanager
def snapshots_kept(
    settings: Settings, owned: Callable[[], Mapping[int, int]], log: Callable[..., None], *, embedded: bool
) -> Iterator[None]:
    """Write periodic snapshots while the body runs, where the settings want them; an embedded store has none."""
    wanted = settings.snapshots
    if wanted.directory is None or embedded:
        yield
        return
    client = etcd_client(settings)
    keeper = SnapshotWriter(
        wanted.directory,
        interval_s=wanted.interval_s,
        keep_count=wanted.keep_count,
        owned=owned,
        read=lambda shard: stored_snapshot(client, settings, shard),
        log=log,
    )
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()
        client.close()
