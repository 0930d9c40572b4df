"""Stores that are wrong in one respect each: the tests of sound ones must find that."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from processor.engine.values import Image, Snapshot
from processor.etcd.backlog import Backlog
from processor.etcd.builder import Plan
from processor.etcd.inflight import EtcdInFlight
from processor.etcd.layout import numbered
from processor.etcd.store import EtcdStore
from tests.contracts.store_worlds import EtcdWorld, commit, committed
from tests.etcd.etcd_fake import LossyClient
from tests.etcd.shard_steps import many, started
from tests.etcd.test_overflow_machine import OverflowMachine

SOUND_EXAMPLES, FOUND_WITHIN_EXAMPLES = 20, 1000
LOOKING = settings(
    stateful_step_count=40,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class DefectiveStore(EtcdStore):
    """Keeps a backlog of its own kind, with the content that a sound one would have."""

    backlog_type: ClassVar[type[Backlog]] = Backlog

    def load(self) -> Snapshot:
        snapshot = super().load()
        backlog = self.backlog_type()
        vars(backlog).update(vars(self._state.backlog))
        self._state = msgspec.structs.replace(self._state, backlog=backlog)
        return snapshot


class OldImages(Backlog):
    """Writes the image of the oldest delta that has one."""

    def oldest(self, *, without: frozenset[str]) -> Iterator[Image]:
        for newest in super().oldest(without=without):
            images = (image for delta in self._deltas.values() for image in delta.images)
            yield next(image for image in images if image.key == newest.key)


class OldImageMaterialised(DefectiveStore):
    backlog_type = OldImages


class AnyDeltaDone(Backlog):
    """Drops whichever delta is done, though older ones are not."""

    def droppable_through(self, settled: Iterable[str]) -> int | None:
        settled_in = Counter(self._holder[key] for key in settled if key in self._holder)
        done = [seq for seq, unwritten in self._unwritten.items() if len(unwritten) <= settled_in[seq]]
        return max(done, default=None)

    def _drop_through(self, through: int) -> None:
        older = {seq: (self._deltas.pop(seq), self._unwritten.pop(seq)) for seq in list(self._deltas) if seq < through}
        super()._drop_through(through)
        newer = dict(self._deltas), dict(self._unwritten)
        self._deltas = {seq: delta for seq, (delta, _) in older.items()} | newer[0]
        self._unwritten = {seq: unwritten for seq, (_, unwritten) in older.items()} | newer[1]


class DeltasOutOfOrder(DefectiveStore):
    """Deletes that one delta alone."""

    backlog_type = AnyDeltaDone

    def _begin(self, plan: Plan) -> EtcdInFlight:
        through = plan.effect.dropped_through
        for operation in plan.steps[-1].success:
            range_ = operation.request_delete_range
            if through is not None and range_.key == self._keys.delta:
                range_.key = numbered(self._keys.delta, through)
        return super()._begin(plan)


class Forgetful(Backlog):
    """Does not know which entities the deltas mention."""

    def mentions(self, key: str) -> bool:
        return super().mentions(key) and not key


class RemovalsDirect(DefectiveStore):
    backlog_type = Forgetful


def outcome_of(store: type[EtcdStore], examples: int) -> str:
    """Return what the random commits of `OverflowMachine` find in a store, empty when they find nothing."""

    class Machine(OverflowMachine):
        store_type = store
        seen: ClassVar[Counter[str]] = Counter()

        def _assert_alike(self, followed: Backlog, loaded: Backlog) -> None:
            """Only what a reader sees counts here."""

    try:
        run_state_machine_as_test(Machine, settings=settings(LOOKING, max_examples=examples))
    except AssertionError as found:
        return f"found: {found}"
    return ""


@pytest.mark.parametrize("defective", [OldImageMaterialised, DeltasOutOfOrder, RemovalsDirect])
def test_random_commits_find(defective: type[EtcdStore]) -> None:
    assert outcome_of(defective, FOUND_WITHIN_EXAMPLES)


def test_random_commits_find_nothing_in_what_the_defective_stores_are_made_of() -> None:
    assert outcome_of(DefectiveStore, SOUND_EXAMPLES) == ""


class BusyClient(LossyClient):
    """Lets another commit happen before entities are read, and reads at whatever revision it is told."""

    def __init__(self, client: Any, world: EtcdWorld, epoch: int, revision: int) -> None:
        super().__init__(client)
        self._store, self._epoch, self._revision, self._seq = world.store(), epoch, revision, 0
        self._state = world.keys.state

    def pages(self, start: bytes, end: bytes, *, revision: int, page_keys: int) -> Any:
        if start == self._state:
            self.write()
        return self._client.pages(start, end, revision=revision, page_keys=page_keys)

    def write(self) -> None:
        """Commit the next seq, whose entities all have that number."""
        self._store.load()
        self._seq += 1
        images = many(20, b"%d" % self._seq)
        self._revision = committed(self._store.send(commit(self._seq, self._epoch, self._revision, *images)).result())


class UnpinnedClient(BusyClient):
    """Reads every page at the revision that is the newest then."""

    def pages(self, start: bytes, end: bytes, *, revision: int, page_keys: int) -> Any:
        del revision
        return super().pages(start, end, revision=0, page_keys=page_keys)


@pytest.mark.services
@pytest.mark.parametrize(
    ("client_type", "is_whole"), [(BusyClient, True), (UnpinnedClient, False)], ids=["BusyClient", "UnpinnedClient"]
)
def test_a_commit_between_two_reads_of_a_snapshot_shows_whether_it_is_pinned(
    world: EtcdWorld, epoch: int, client_type: type[BusyClient], *, is_whole: bool
) -> None:
    _, revision = started(world, epoch)
    client: Any = client_type(world.client, world, epoch, revision)
    client.write()
    snapshot = EtcdStore(client, world.keys).load()
    assert snapshot.head is not None
    assert ({value for _, value in snapshot.entities} == {b"%d" % snapshot.head.seq}) == is_whole
