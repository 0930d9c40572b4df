"""A shard's state in a file: everything that its head says, and every entity as it is stored.

A line that names the form, then a zstd frame of MessagePack (a `Snapshot`), then the blake2b-32 of all that: what is
cut off or altered is found before anything of it is believed. Entities stand as in the store, each with the fingerprint
of the released schema that it was written with, so that a later build reads them.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

import msgspec
import zstandard

from processor.engine.errors import ShardRefused
from processor.engine.recovery import Restored, check_versions, restore
from processor.engine.values import Head
from processor.engine.values import Snapshot as StoreSnapshot
from processor.replay.errors import SnapshotDamaged
from processor.replay.fold import Build
from processor.replay.replaying import BEGINNING, Replayed, Start

MAGIC = b"processor snapshot 1\n"
CHECKSUM_BYTES = 32
ZSTD_LEVEL = 3
CONTENT_BYTES_MAX = 4 << 30
SUFFIX = ".snapshot"


class Snapshot(msgspec.Struct, frozen=True):
    """One shard's state: `entities` are (`<kind>/<name>`, stored value).

    `head` has seq, epoch, positions, topic ids, digest, next number, reducer version and layout.
    """

    app: str
    shard: int
    cluster: str
    written_ms: int
    head: Head
    entities: tuple[tuple[str, bytes], ...]


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


def write_snapshot(path: Path, snapshot: Snapshot) -> int:
    """Write a file, whole or not at all; return its size in bytes. Raises OSError."""
    body = MAGIC + zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(msgspec.msgpack.encode(snapshot))
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(body)
            file.write(_checksum(body))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return len(body) + CHECKSUM_BYTES


def read_snapshot(path: Path) -> Snapshot:
    """Read a file. Raises SnapshotDamaged, OSError."""
    content = path.read_bytes()
    body, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    if not content.startswith(MAGIC):
        raise SnapshotDamaged(f"{path} is no snapshot of a form that this build knows")
    if _checksum(body) != checksum:
        raise SnapshotDamaged(f"{path} is damaged or cut short: its {len(content)} bytes do not have their checksum")
    try:
        plain = zstandard.ZstdDecompressor().decompress(body[len(MAGIC) :], max_output_size=CONTENT_BYTES_MAX)
        return msgspec.msgpack.decode(plain, type=Snapshot)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise SnapshotDamaged(f"{path} cannot be read: {error}") from error


def restored_from(path: Path, snapshot: Snapshot, build: Build) -> Restored:
    """Return the state that a snapshot holds, summed again. Raises SnapshotDamaged, ShardRefused (a newer build's)."""
    head = snapshot.head
    check_versions(head, reducer_version=build.machine.version)
    stored = StoreSnapshot(0, head, 0, 0, snapshot.entities, {}, (), None)
    try:
        restored = restore(stored, machine=build.machine, encoder=build.encoder)
    except ShardRefused as error:
        raise SnapshotDamaged(f"{path}: {error}") from error
    if restored.digest != head.digest and head.reducer_version == build.machine.version:
        raise SnapshotDamaged(f"{path}: its state has digest {restored.digest}, its head says {head.digest}")
    return restored


def snapshot_of(replayed: Replayed, build: Build, *, app: str, shard: int, cluster: str, now_ms: int) -> Snapshot:
    """Return a folded state as a snapshot."""
    encode = build.encoder.encode
    entities = tuple((key, encode(key, entity)) for key, entity in build.machine.entities(replayed.state))
    return Snapshot(app, shard, cluster, now_ms, replayed.head, entities)


def check_owner(path: Path, snapshot: Snapshot, *, app: str, shard: int, cluster: str) -> None:
    """Raise SnapshotDamaged when the snapshot is of another shard."""
    theirs, ours = (snapshot.app, snapshot.shard, snapshot.cluster), (app, shard, cluster)
    if theirs != ours:
        raise SnapshotDamaged(f"{path} is of {_named(*theirs)}, not of {_named(*ours)}")


def file_name(app: str, shard: int, seq: int) -> str:
    """Return the name under which periodic snapshots are kept."""
    return f"{app}-{shard}-{seq:020d}{SUFFIX}"


def kept_in(directory: Path, app: str, shard: int) -> Mapping[int, Path]:
    """Return seq → file of a shard's periodic snapshots, ascending."""
    prefix = f"{app}-{shard}-"
    return dict(sorted(_numbered(directory.glob(f"{prefix}*{SUFFIX}"), prefix)))


def _numbered(paths: Iterable[Path], prefix: str) -> Iterable[tuple[int, Path]]:
    for path in paths:
        number = path.name.removeprefix(prefix).removesuffix(SUFFIX)
        if number.isdecimal():
            yield int(number), path


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=CHECKSUM_BYTES).digest()


def _named(app: str, shard: int, cluster: str) -> str:
    return f"shard {shard} ({cluster}) of {app}"
