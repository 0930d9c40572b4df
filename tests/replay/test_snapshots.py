"""Snapshots: written, read, damaged, begun from."""

from pathlib import Path

import msgspec
import pytest

from processor.engine.errors import ShardRefused
from processor.replay.errors import SnapshotDamaged
from processor.replay.replaying import BEGINNING, replay_to
from processor.replay.snapshots import (
    Snapshot,
    SnapshotDirectory,
    check_owner,
    file_name,
    kept_in,
    read_snapshot,
    restored_from,
    snapshot_of,
    write_snapshot,
)
from processor.replay.verifying import Verifier
from tests.replay.shard import Shard

OWNER = {"app": "app", "shard": 0, "cluster": "cluster"}


def _at(shard: Shard, seq: int) -> Snapshot:
    replayed = replay_to(shard.past().sources, shard.build, seq)
    return snapshot_of(replayed, shard.build, app="app", shard=0, cluster="cluster", now_ms=1)


def _directory(directory: Path | None, notes: list[str]) -> SnapshotDirectory:
    return SnapshotDirectory(directory, app="app", shard=0, cluster="cluster", note=notes.append)


def test_what_was_written_is_read_again(shard: Shard, tmp_path: Path) -> None:
    snapshot = _at(shard, 3)
    path = tmp_path / "a.snapshot"
    assert write_snapshot(path, snapshot) == path.stat().st_size
    assert read_snapshot(path) == snapshot
    assert list(tmp_path.iterdir()) == [path]


def test_a_fold_from_any_snapshot_ends_where_the_fold_from_the_beginning_does(shard: Shard, tmp_path: Path) -> None:
    past, path = shard.past(), tmp_path / "a.snapshot"
    for seq in range(shard.head.seq + 1):
        write_snapshot(path, _at(shard, seq))
        verifier = Verifier()
        start = _directory(None, []).start(path, shard.build)
        replayed = replay_to(past.sources, shard.build, start=start, watch=verifier)
        assert (replayed.head.digest, verifier.findings) == (shard.head.digest, [])
        assert (replayed.head.positions, replayed.commits) == (shard.head.positions, shard.head.seq - seq)


def test_any_truncation_and_any_flipped_byte_is_found(shard: Shard, tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    write_snapshot(path, _at(shard, shard.head.seq))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(SnapshotDamaged, match=r"a\.snapshot"):
            read_snapshot(path)
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(SnapshotDamaged, match=r"a\.snapshot"):
            read_snapshot(path)


def test_a_state_that_is_not_its_heads_is_found_although_the_file_is_whole(shard: Shard) -> None:
    snapshot = _at(shard, shard.head.seq)
    fewer = msgspec.structs.replace(snapshot, entities=snapshot.entities[1:])
    with pytest.raises(SnapshotDamaged, match=f"its head says {shard.head.digest}"):
        restored_from(Path("x"), fewer, shard.build)
    unreadable = msgspec.structs.replace(snapshot, entities=((snapshot.entities[0][0], b"\xc3\x01"),))
    with pytest.raises(SnapshotDamaged, match=r"x: .*cannot be read"):
        restored_from(Path("x"), unreadable, shard.build)


def test_a_newer_builds_snapshot_is_refused(shard: Shard) -> None:
    snapshot = _at(shard, 2)
    newer = msgspec.structs.replace(snapshot, head=msgspec.structs.replace(snapshot.head, reducer_version=99))
    with pytest.raises(ShardRefused, match="reducer version 99"):
        restored_from(Path("x"), newer, shard.build)


def test_a_snapshot_of_another_shard_is_refused(shard: Shard) -> None:
    snapshot = _at(shard, 2)
    check_owner(Path("x"), snapshot, **OWNER)  # type: ignore[arg-type]
    with pytest.raises(SnapshotDamaged, match=r"of shard 0 \(cluster\) of app, not of shard 1 \(other\) of app"):
        check_owner(Path("x"), snapshot, app="app", shard=1, cluster="other")


def test_the_nearest_whole_snapshot_is_begun_from(shard: Shard, tmp_path: Path) -> None:
    notes: list[str] = []
    directory = _directory(tmp_path, notes)
    assert directory.nearest(4, shard.build) == BEGINNING
    for seq in (1, 3, 5):
        write_snapshot(tmp_path / file_name("app", 0, seq), _at(shard, min(seq, shard.head.seq)))
    (tmp_path / "app-0-x.snapshot").touch()
    assert list(kept_in(tmp_path, "app", 0)) == [1, 3, 5]
    assert directory.nearest(4, shard.build).seq == 3
    assert directory.nearest(0, shard.build) == BEGINNING
    (tmp_path / file_name("app", 0, 3)).write_bytes(b"")
    assert directory.nearest(4, shard.build).seq == 1
    assert len(notes) == 1
    assert "passed by" in notes[0]
    assert _directory(None, notes).nearest(4, shard.build) == BEGINNING
    assert _directory(tmp_path / "absent", notes).nearest(4, shard.build) == BEGINNING
