"""Periodic snapshots: when they are written, and how many stay."""

from pathlib import Path
from typing import Any

import pytest

from processor.engine.errors import StoreUnavailable
from processor.engine.values import Head
from processor.replay.snapshot_writer import RETRY_INTERVAL_S, SnapshotWriter
from processor.replay.snapshots import Snapshot, kept_in, read_snapshot
from tests.waiting import wait_until

INTERVAL_S = 100.0


class Desk:
    """What a keeper is told, and what it wrote."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now_s = 10.0
        self.owned: dict[int, int] = {}
        self.away = False
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.keeper = SnapshotWriter(
            directory / "made",
            interval_s=INTERVAL_S,
            keep_count=2,
            owned=lambda: self.owned,
            read=self._read,
            log=lambda event, **facts: self.log.append((event, facts)),
            monotonic_s=lambda: self.now_s,
        )

    @property
    def kept(self) -> list[int]:
        return list(kept_in(self.directory / "made", "app", 0))

    def _read(self, shard: int) -> Snapshot | None:
        if self.away:
            raise StoreUnavailable("no leader")
        if self.owned[shard] < 0:
            return None
        return Snapshot("app", shard, "cluster", 1, Head(self.owned[shard], 1, "", 1, {}, {}, "", 1), ())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_first_is_written_at_once_and_the_next_after_the_interval_if_something_changed(desk: Desk) -> None:
    desk.keeper.run_once()
    assert desk.log == []
    desk.owned = {0: 5}
    desk.keeper.run_once()
    desk.owned = {0: 6}
    desk.keeper.run_once()
    assert desk.kept == [5]
    desk.now_s += INTERVAL_S
    desk.keeper.run_once()
    assert desk.kept == [5, 6]
    desk.now_s += INTERVAL_S
    desk.keeper.run_once()
    assert [event for event, _ in desk.log] == ["snapshot_written"] * 2


def test_only_the_last_few_stay_and_other_shards_are_left_alone(desk: Desk) -> None:
    for seq in range(1, 6):
        desk.owned = {0: seq, 1: 7}
        desk.keeper.run_once()
        desk.now_s += INTERVAL_S
    assert desk.kept == [4, 5]
    (path,) = kept_in(desk.directory / "made", "app", 1).values()
    assert read_snapshot(path).head.seq == 7


def test_a_shard_taken_again_is_written_at_once(desk: Desk) -> None:
    desk.owned = {0: 1}
    desk.keeper.run_once()
    desk.owned = {}
    desk.keeper.run_once()
    desk.owned = {0: 2}
    desk.keeper.run_once()
    assert desk.kept == [1, 2]


def test_a_failure_is_told_and_tried_again_soon(desk: Desk) -> None:
    desk.owned, desk.away = {0: 1}, True
    desk.keeper.run_once()
    desk.away = False
    desk.keeper.run_once()
    assert desk.kept == []
    desk.now_s += RETRY_INTERVAL_S
    desk.keeper.run_once()
    assert desk.kept == [1]
    assert desk.log[0] == ("snapshot_failed", {"shard": 0, "reason": "no leader"})


def test_a_directory_that_cannot_be_written_is_no_reason_to_end(desk: Desk) -> None:
    (desk.directory / "made").touch()
    desk.owned = {0: 1}
    desk.keeper.run_once()
    assert [event for event, _ in desk.log] == ["snapshot_failed"]


def test_nothing_is_written_before_the_first_commit(desk: Desk) -> None:
    desk.owned = {0: -1}
    desk.keeper.run_once()
    assert (desk.kept, desk.log) == ([], [])


def test_its_thread_looks_until_it_is_stopped(desk: Desk) -> None:
    desk.owned = {0: 1}
    desk.keeper.start()
    wait_until(lambda: desk.kept == [1], what="a snapshot is there")
    desk.keeper.stop()
