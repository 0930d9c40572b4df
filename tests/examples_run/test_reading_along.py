"""Readers that come and go beside processors that are killed: each announcement once and in order, in either mode."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.consume import NONE_YET, Catalogue, KafkaConnection, announcement_reader
from tests.checker.single_object import SCHEMAS_DIRECTORY
from tests.integration.play import Play
from tests.integration.stage import Stage
from tests.services import Etcd, Kafka
from tests.waiting import wait_until

SHARDS = (0, 1)
EVENTS = 600
KILLS = 3
STAY = 40
"""Announcements after which a reader leaves, and comes back with what it has kept."""

pytestmark = pytest.mark.slow


class Along:
    """Follows all shards in a thread; `seen` is shard → (number, key) in the order in which they came."""

    def __init__(self, stage: Stage, isolation: str) -> None:
        self.seen: dict[int, list[tuple[int, str]]] = {shard: [] for shard in SHARDS}
        self.visits = 0
        self._connection = KafkaConnection(stage.bootstrap, {"isolation.level": isolation})
        self._topic = stage.topics["changes"]
        self._catalogue = Catalogue.load(SCHEMAS_DIRECTORY)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, name=isolation, daemon=True)
        self._thread.start()

    def count(self) -> int:
        """Return how many it has seen. Raises what ended it."""
        if self._failure is not None:
            raise self._failure
        return sum(map(len, self.seen.values()))

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _follow(self) -> None:
        positions: dict[int, int] = {}
        numbers = dict.fromkeys(SHARDS, NONE_YET)
        try:
            while not self._stopping.is_set():
                positions, numbers = self._visit(positions, numbers)
        except BaseException as failure:  # noqa: BLE001 - raised again where the test looks
            self._failure = failure

    def _visit(self, positions: dict[int, int], numbers: dict[int, int]) -> tuple[dict[int, int], dict[int, int]]:
        self.visits += 1
        with announcement_reader(
            self._connection,
            self._topic,
            self._catalogue,
            partitions=SHARDS,
            from_=positions,
            numbers=numbers,
            gaps="raise",
        ) as reader:
            enough = self.count() + STAY
            while self.count() < enough and not self._stopping.is_set():
                received = reader.poll(0.2)
                if received is not None:
                    self.seen[received.record.partition].append((received.number, received.value.key))
            return reader.positions, reader.numbers


@pytest.fixture
def stage(kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path) -> Iterator[Stage]:
    """Two shards."""
    built = Stage(namespace, kafka.bootstrap, etcd.endpoint, tmp_path, shards=len(SHARDS))
    built.build()
    yield built
    built.strike()


@pytest.fixture
def plays(stage: Stage) -> Iterator[list[Play]]:
    begun = [Play(stage, shard=shard) for shard in SHARDS]
    yield begun
    for play in begun:
        play.close()


@pytest.fixture
def readers(stage: Stage) -> Iterator[list[Along]]:
    begun = [Along(stage, isolation) for isolation in ("read_committed", "read_uncommitted")]
    yield begun
    for along in begun:
        along.close()


def wait_for_more_than(count: int, play: Play) -> None:
    what = f"more than {count} announcements of shard {play.shard} are there"
    wait_until(lambda: len(play.follower.changes) > count, what=what, timeout_s=60.0)


def test_each_announcement_comes_once_and_in_order_to_readers_that_come_and_go(
    stage: Stage, plays: list[Play], readers: list[Along]
) -> None:
    processor = stage.start()
    traffic = [play.traffic(play.script(EVENTS, seed=11 + play.shard), records_per_s=300) for play in plays]
    for kill in range(KILLS):
        before = [len(play.follower.changes) for play in plays]
        for one in traffic:
            one.allow((kill + 1) * one.total // (KILLS + 1))
        for play, count in zip(plays, before, strict=True):
            wait_for_more_than(count, play)
        processor.kill()
        processor.start()
    for one in traffic:
        one.allow(one.total)
        one.wait_until_sent(one.total)
    for play in plays:
        play.wait_until_quiet()
    told = {
        play.shard: [(int(one.headers["processor-number"]), (one.record.key or b"").decode()) for one in changes]
        for play, changes in ((play, play.assert_whole().changes) for play in plays)
    }
    total = sum(map(len, told.values()))
    assert min(map(len, told.values())) > EVENTS // 3
    for along in readers:
        wait_until(lambda along=along: along.count() >= total, what="the reader has read all")  # type: ignore[misc]
        assert along.seen == told
        assert along.visits > total // STAY // 2
