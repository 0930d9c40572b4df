"""Random commits, trims, losses, late copies, abandoned stages and take-overs against a plain dict.

Tiny limits make every commit overflow or be staged sooner or later. After every step a reader that merges sees exactly
the committed state; once all is trimmed, so does one that reads raw keys.
"""

from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from processor.engine.announcements import Announcement, OutboxEntry
from processor.engine.values import Commit, Committed, Image, TrimRequest
from processor.etcd import requests
from processor.etcd.backlog import Backlog
from processor.etcd.builder import Plan
from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient
from processor.etcd.layout import ShardKeys, end_of
from processor.etcd.limits import Limits
from processor.etcd.store import EtcdStore
from processor.etcd.transaction import plan_commit
from tests.contracts.store_worlds import entry, head, settled
from tests.etcd.etcd_fake import FakeEtcd, Fate, LossyClient
from tests.etcd.shard_steps import noise

NAMES = [f"model/{letter}" for letter in "abcdefghijklmn"]
LIMITS = [
    Limits(operations_max=8, request_bytes_max=8_000, delta_commits_max=50, delta_bytes_max=100_000),
    Limits(operations_max=10, request_bytes_max=4_000, delta_commits_max=4, delta_bytes_max=4_000),
    Limits(operations_max=14, request_bytes_max=16_000, delta_commits_max=50, delta_bytes_max=100_000),
]
# Random bytes, so that compression does not hide what is large.
tiny = st.binary(min_size=1, max_size=4)
values = st.one_of(st.none(), tiny, tiny, tiny, st.integers(0, 255).map(lambda seed: noise(seed, 1_500)))
changes = st.dictionaries(st.sampled_from(NAMES), values, min_size=1, max_size=12)
fates: st.SearchStrategy[list[Fate]] = st.lists(
    st.sampled_from(["answered", "answered", "reply lost", "request lost"]), max_size=4
)
serial = iter(range(1, 1_000_000_000))


class OverflowMachine(RuleBasedStateMachine):
    real: EtcdClient | None = None
    prefix = "/fake"
    store_type: ClassVar[type[EtcdStore]] = EtcdStore
    seen: ClassVar[Counter[str]]

    @initialize(limits=st.sampled_from(LIMITS))
    def begin(self, limits: Limits) -> None:
        self.limits = limits
        fake = FakeEtcd(operations_max=limits.operations_max, request_bytes_max=limits.request_bytes_max)
        self.etcd: Any = self.real or fake
        self.client: Any = LossyClient(self.etcd)
        self.keys = ShardKeys(self.prefix, f"run-{next(serial)}", 0)
        self.model: dict[str, bytes] = {}
        self.outbox: dict[int, OutboxEntry] = {}
        self.seq, self.revision, self.announced_seq = 0, 0, 0
        self.take_over()
        self._finish(self.store.send(Commit(0, head(0, self.epoch))))

    @rule()
    def take_over(self) -> None:
        """Another instance owns the shard and loads it; what the former one still sends is a zombie's."""
        self.etcd.transact(requests.transaction((), (requests.delete(self.keys.owner),))).result()
        own = requests.transaction((), (requests.put(self.keys.owner, b"{}"),))
        self.epoch = self.etcd.transact(own).result().header.revision
        self.reload()

    @rule()
    def reload(self) -> None:
        self.store = self.store_type(self.client, self.keys, limits=self.limits)
        self.store.load()

    @rule(changes=changes, fates=fates, announce=st.integers(0, 3), bulk=st.sampled_from([0, 0, 0, 0, 0, 3_000, 9_000]))
    def commit(self, changes: dict[str, bytes | None], fates: list[Fate], announce: int, bulk: int) -> None:
        # A diff never removes what is not there.
        changes = {key: value for key, value in changes.items() if value is not None or key in self.model}
        self.announced_seq = min(self.seq, self.announced_seq + announce)
        self.seq += 1
        self.client.fates.extend(fates)
        flight = self.store.send(self._commit(changes, bulk))
        self._note(flight._plan)
        self._finish(flight)
        for key, value in changes.items():
            self.model.pop(key, None)
            if value is not None:
                self.model[key] = value

    def _commit(self, changes: dict[str, bytes | None], bulk: int, name: str = "") -> Commit:
        announced = entry(self.seq, self.epoch, commit_record=noise(self.seq % 256, 200))
        if bulk:
            large = Announcement("model/a", "T", noise(self.seq % 256, bulk))
            announced = entry(self.seq, self.epoch, announcements=(large,))
        self.outbox[self.seq] = announced
        return Commit(
            expected_revision=self.revision,
            head=head(
                self.seq, self.epoch, announced_seq=self.announced_seq, commit_id=f"{name}{self.epoch}-{self.seq}"
            ),
            images=tuple(Image(key, value) for key, value in changes.items()),
            outbox=announced,
        )

    @rule(fates=fates)
    def trim(self, fates: list[Fate]) -> None:
        self._tidy_once(fates)

    def _note(self, plan: Plan) -> None:
        surplus = plan.effect.delta.images if plan.effect.delta else ()
        self.seen["staged"] += len(plan.steps) > 1
        self.seen["overflow"] += bool(surplus) and len(plan.steps) == 1
        self.seen["tombstone"] += any(image.value is None for image in surplus)
        self.seen["dropped with a commit"] += plan.effect.dropped_through is not None
        self.seen["swept"] += self.store._state.orphaned_parts

    def _tidy_once(self, fates: list[Fate]) -> bool:
        trimmed = head(self.seq, self.epoch, commit_id=f"trim-{next(serial)}", announced_seq=self.announced_seq)
        self.client.fates.extend(fates)
        flight = self.store.trim(TrimRequest(expected_revision=self.revision, head=trimmed, epoch=self.epoch))
        if flight is not None:
            self._finish(flight)
        self.client.fates.clear()
        return flight is not None

    @rule(late=st.integers(0, 30))
    def late_copy_arrives(self, late: int) -> None:
        """A copy of something sent before, by whomever, arrives once more."""
        if late < len(self.client.sent):
            self.etcd.transact(self.client.sent[-1 - late]).result()
            self.seen["late copy"] += 1

    @precondition(lambda self: self.seq > 0)
    @rule(changes=changes, keep=st.integers(0, 5))
    def abandon_a_staged_commit(self, changes: dict[str, bytes | None], keep: int) -> None:
        """The owner dies after some parts of a staged commit; the successor finds them."""
        self.seq += 1
        plan = plan_commit(self._commit(changes, 9_000, "abandoned-"), self.store._state)
        del self.outbox[self.seq]
        self.seq -= 1
        for step in plan.steps[:-1][:keep]:
            assert self.client.transact(step).result().succeeded
        self.take_over()

    @invariant()
    def a_merging_reader_sees_the_committed_state(self) -> None:
        reader = EtcdStore(self.client, self.keys, limits=self.limits)
        snapshot = reader.load()
        assert dict(snapshot.entities) == self.model
        assert snapshot.head is not None
        assert snapshot.head.seq == self.seq
        # Who loads sees that the removal of what was never written is done.
        assert snapshot.head.pending >= self.store._state.backlog.pending
        waiting = {seq: entry for seq, entry in self.outbox.items() if seq > self.announced_in(snapshot)}
        assert {stored.entry.seq: stored.entry for stored in snapshot.outbox} == waiting
        self._assert_alike(self.store._state.backlog, reader._state.backlog)

    def _assert_alike(self, followed: Backlog, loaded: Backlog) -> None:
        """What the store believes must be what a load would tell it, in the same order.

        Only a removal of what was never written to its key is done already for who looks.
        """
        raw = self._raw()
        expected = [
            image
            for image in followed.oldest(without=frozenset())
            if image.value is not None or self.keys.entity(image.key) in raw
        ]
        assert list(loaded.oldest(without=frozenset())) == expected
        assert (followed.commits, followed.size_bytes) == (loaded.commits, loaded.size_bytes)
        assert all(followed.mentions(name) == loaded.mentions(name) for name in NAMES)

    def announced_in(self, snapshot: Any) -> int:
        announced: int = snapshot.head.announced_seq
        return announced

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        self.client.fates.clear()
        trims = 0
        while self._tidy_once([]):
            trims += 1
            assert trims < 1_000
        raw = self._raw()
        assert {self.keys.entity_of(key): raw[key] for key in raw if key.startswith(self.keys.state)} == self.model
        deltas = [key for key in raw if key.startswith(self.keys.delta)]
        assert deltas == [] or self.store._state.orphaned_parts

    def _finish(self, flight: Any) -> None:
        answer = settled(flight)
        self.client.fates.clear()
        assert isinstance(answer, Committed), answer
        assert answer.revision == self.store.read_head().head_revision
        self.revision = answer.revision

    def _raw(self) -> dict[bytes, bytes]:
        everything = requests.get(self.keys.root)
        everything.request_range.range_end = end_of(self.keys.root)
        found = self.client.read(requests.transaction((), (everything,))).responses[0].response_range.kvs
        return {kv.key: kv.value for kv in found}


EVERYTHING = {"staged", "overflow", "tombstone", "dropped with a commit", "swept", "late copy"}


def test_overflow_keeps_the_committed_state_on_a_strict_fake() -> None:
    class FakeMachine(OverflowMachine):
        seen: ClassVar[Counter[str]] = Counter()

    run_state_machine_as_test(
        FakeMachine, settings=settings(max_examples=200, stateful_step_count=40, report_multiple_bugs=False)
    )
    assert {name for name, times in FakeMachine.seen.items() if times} == EVERYTHING


@pytest.mark.services
def test_overflow_keeps_the_committed_state_on_real_etcd(etcd: Any, namespace: str) -> None:
    class RealMachine(OverflowMachine):
        real = EtcdClient(Access((etcd.endpoint,)))
        prefix = f"/{namespace}"
        seen: ClassVar[Counter[str]] = Counter()

    run_state_machine_as_test(
        RealMachine,
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            derandomize=True,  # so few random runs may miss one of `EVERYTHING`; the fake explores
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    RealMachine.real.close()
    assert {name for name, times in RealMachine.seen.items() if times} == EVERYTHING
