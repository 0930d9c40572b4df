"""A shard's state in a file, which a fold can start from: its head and every entity as stored.

A stored format, which later builds must read: the line MAGIC, a zstd frame of MessagePack (a `Snapshot`), and the
32-byte blake2b digest of both. The checksum is verified before anything is decoded, so a truncated or altered file is
rejected as a whole. Entities are stored values, each with the fingerprint of the released schema that it was written
with, so a later build decodes them like those in the store.

Three checks make a file a start: it belongs to this app, shard and cluster; its reducer version is not newer than this
build's; and its decoded state has the digest that its head says, unless another version wrote it, whose digest is over
other bytes. It holds the positions as well, so a fold continues exactly where its commit ended. It does not hold the
outbox: what its commits had to publish is in the topics already, or never will be, which `importing` warns of.
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
    """One shard's state, in a stored format: `entities` are (`<kind>/<name>`, stored value).

    `written_ms` is when the file was made, in ms since the epoch; `head` the shard's head as stored.
    """

    app: str
    shard: int
    cluster: str
    written_ms: int
    head: Head
    entities: tuple[tuple[str, bytes], ...]


class SnapshotDirectory:
    """One shard's periodic snapshots, none without a directory. `note` receives sentences about files passed over."""

    def __init__(
        self, directory: Path | None, *, app: str, shard: int, cluster: str, note: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._app = app
        self._shard = shard
        self._cluster = cluster
        self._note = note

    def nearest(self, seq: int, build: Build) -> Start:
        """Return the newest intact snapshot at or before `seq`, the beginning when there is none."""
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
        """Return a file as a start. Raises SnapshotDamaged, ShardRefused (written by a newer build), OSError."""
        snapshot, restored = self.read(path, build)
        return Start(snapshot.head, restored.state, f"{path}, seq {snapshot.head.seq}")

    def read(self, path: Path, build: Build) -> tuple[Snapshot, Restored]:
        """Return a file's snapshot, and its state with the digest computed again. Raises as `start`."""
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
    """Return a snapshot's state with the digest computed again. Raises SnapshotDamaged, ShardRefused (newer build)."""
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
    """Return the file name of a periodic snapshot."""
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
