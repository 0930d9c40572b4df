from types import SimpleNamespace
from typing import Any

import pytest

from processor.admin.shards import KEYS_PER_READ, ShardView, lag, shard_views, status_of
from processor.configuration.settings import Settings
from processor.engine.values import Head
from processor.etcd.layout import Owner
from processor.kafka.offsets import OpenTransaction, PartitionOffsets

MARKS = {("high", 0): PartitionOffsets(2, 10), ("normal", 0): PartitionOffsets(0, 5)}
OWNER = Owner("here", "host", 1, 0)


def _head(committed_ms: int = 0) -> Head:
    return Head(
        seq=9,
        epoch=1,
        commit_id="x",
        committed_ms=committed_ms,
        positions={"high": {0: 7}, "normal": {0: 5}},
        topics={},
        digest="",
        reducer_version=1,
        announced_seq=7,
    )


def test_lag_is_what_waits_behind_the_positions() -> None:
    assert lag(_head(), MARKS) == {"high": 3, "normal": 0}


def test_what_an_open_transaction_hides_waits_too() -> None:
    marks = {("high", 0): PartitionOffsets(2, 10, OpenTransaction(10, 5, 4)), ("normal", 0): PartitionOffsets(0, 5)}
    assert lag(_head(), marks) == {"high": 7, "normal": 0}


def test_without_a_head_everything_waits() -> None:
    assert lag(None, MARKS) == {"high": 8, "normal": 5}


@pytest.mark.parametrize(
    ("owner", "waiting", "silent_ms", "status"),
    [
        (None, 0, 0, "down"),
        (OWNER, 0, 10**9, "healthy"),
        (OWNER, 5, 1000, "healthy"),
        (OWNER, 5, 11_000, "degraded"),
    ],
)
def test_a_shard_is_judged_by_its_owner_and_its_progress(
    owner: Owner | None, waiting: int, silent_ms: int, status: str
) -> None:
    view = ShardView(0, "cluster", _head(committed_ms=1000), owner, 3)
    assert status_of(view, waiting, 1000 + silent_ms) == status


def test_an_owner_that_has_not_started_the_shard_yet_is_not_healthy() -> None:
    assert status_of(ShardView(0, "cluster", None, OWNER, 0), 0, 1000) == "degraded"


def test_the_outbox_is_what_is_not_known_to_be_published() -> None:
    assert ShardView(0, "cluster", _head(), OWNER, 3).outbox == 2
    assert ShardView(0, "cluster", None, None, 0).outbox == 0


def test_all_shards_are_read_as_of_one_revision_however_many_reads_that_takes() -> None:
    pinned: list[set[int]] = []

    class Client:
        def read(self, request: Any) -> Any:
            """Answer that nothing is there, at a revision that grows."""
            pinned.append({operation.request_range.revision for operation in request.success})
            responses = [SimpleNamespace(response_range=SimpleNamespace(kvs=[])) for _ in request.success]
            return SimpleNamespace(header=SimpleNamespace(revision=7 + len(pinned)), responses=responses)

    clusters = tuple(f"c{number}" for number in range(KEYS_PER_READ))
    views = shard_views(Client(), Settings(clusters=clusters))  # type: ignore[arg-type]
    assert [(view.shard, view.cluster, view.head) for view in views] == [
        (number, name, None) for number, name in enumerate(clusters)
    ]
    assert pinned == [{0}, {8}]
