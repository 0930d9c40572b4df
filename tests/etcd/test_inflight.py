from typing import Any

import pytest

from processor.engine.errors import OutcomeUnknown
from processor.engine.values import Committed, Conflict
from processor.etcd import requests
from processor.etcd.backlog import Backlog
from processor.etcd.builder import Plan, StoreState
from processor.etcd.inflight import EtcdInFlight
from processor.etcd.layout import ShardKeys, encode_head
from processor.etcd.limits import Limits
from processor.etcd.transaction import plan_commit
from tests.contracts.store_worlds import commit, head
from tests.etcd.etcd_fake import FakeEtcd, LossyClient
from tests.etcd.shard_steps import staged

KEYS = ShardKeys("/p", "app", 0)


class Told:
    """Keeps what a flight says of its end."""

    def __init__(self) -> None:
        self.revisions: list[int] = []
        self.refusals = 0

    def committed(self, plan: Plan, revision: int) -> None:
        assert plan.head.seq >= 0
        self.revisions.append(revision)

    def refused(self) -> None:
        self.refusals += 1


@pytest.fixture
def client() -> Any:
    return LossyClient(FakeEtcd())


def put(client: Any, key: bytes, value: bytes) -> int:
    revision: int = client.transact(requests.transaction((), (requests.put(key, value),))).result().header.revision
    return revision


@pytest.fixture
def epoch(client: Any) -> int:
    return put(client, KEYS.owner, b"{}")


def flight(client: Any, plan: Plan) -> tuple[EtcdInFlight, Told]:
    told = Told()
    return EtcdInFlight(client, plan, on_committed=told.committed, on_refused=told.refused), told


def planned(epoch: int, seq: int = 0, expected: int = 0) -> Plan:
    return plan_commit(commit(seq, epoch, expected), StoreState(KEYS, Limits(), Backlog(), 0))


def test_the_end_is_told_once_however_often_the_result_is_asked_for(client: Any, epoch: int) -> None:
    sent, told = flight(client, planned(epoch))
    assert sent.result() == sent.result() == Committed(epoch + 1)
    assert (told.revisions, told.refusals) == ([epoch + 1], 0)


def test_asking_again_after_the_answer_sends_nothing(client: Any, epoch: int) -> None:
    sent, _ = flight(client, planned(epoch))
    sent.result()
    before = len(client.sent)
    sent.again()
    assert len(client.sent) == before


def test_our_commit_id_under_another_owner_is_a_refusal(client: Any, epoch: int) -> None:
    client.fates.append("reply lost")
    sent, told = flight(client, planned(epoch))
    client._client.keys.pop(KEYS.owner)
    sent.again()
    answer = sent.result()
    assert isinstance(answer, Conflict)
    assert answer.owner_epoch == 0
    assert (told.revisions, told.refusals) == ([], 1)


def test_somebody_else_s_head_is_a_refusal_that_says_what_stands_there(client: Any, epoch: int) -> None:
    by_hand = head(0, epoch, commit_id="by hand")
    revision = put(client, KEYS.head, encode_head(by_hand))
    sent, told = flight(client, planned(epoch, seq=1, expected=epoch))
    assert sent.result() == Conflict(by_hand, revision, epoch)
    assert (told.revisions, told.refusals) == ([], 1)


def test_a_part_without_an_answer_is_the_one_that_is_sent_again(client: Any, epoch: int) -> None:
    plan = plan_commit(staged(1, epoch, 0), StoreState(KEYS, Limits(), Backlog(), 0))
    assert len(plan.steps) > 3
    client.fates.extend(["answered", "request lost"])
    sent, told = flight(client, plan)
    with pytest.raises(OutcomeUnknown):
        sent.result()
    assert told.revisions == []
    sent.again()
    assert isinstance(sent.result(), Committed)
    tries = client.sent[1:]
    assert tries == [plan.steps[0], plan.steps[1], *plan.steps[1:]]


def test_between_two_steps_of_a_staged_commit_a_failpoint_is_passed(client: Any, epoch: int) -> None:
    passed: list[tuple[str, int]] = []
    plan = plan_commit(staged(1, epoch, 0), StoreState(KEYS, Limits(), Backlog(), 0))
    before = len(client.sent)
    sent = EtcdInFlight(
        client,
        plan,
        on_committed=lambda _plan, _revision: None,
        on_refused=lambda: None,
        failpoint=lambda point: passed.append((point, len(client.sent) - before)),
    )
    sent.result()
    assert passed == [("after_part", number) for number in range(1, len(plan.steps))]
