from collections.abc import Callable
from typing import Any

import pytest

from processor.etcd import requests
from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient, Status
from processor.etcd.compactor import Compactor, History, pressure
from processor.etcd.failures import CompactedError
from tests.contracts.store_worlds import answers
from tests.local_servers import LocalServer
from tests.waiting import wait_until


def status(*, in_use: int = 0, quota: int = 1_000, revision: int = 1) -> Status:
    return Status("3.7.3", revision, in_use, in_use, quota)


def test_nothing_is_compacted_before_it_is_old_enough() -> None:
    history = History(keep_s=300)
    history.note(0, 10)
    assert history.target(299, status()) is None


def test_compaction_goes_to_the_newest_revision_that_is_old_enough_and_only_once() -> None:
    history = History(keep_s=300)
    for number in range(40):
        history.note(number * 10, 100 + number)
    assert history.target(350, status()) == 105
    assert history.target(350, status()) is None
    assert history.target(361, status()) == 106


def test_past_half_the_quota_all_that_was_noted_goes() -> None:
    history = History(keep_s=300)
    history.note(0, 10)
    history.note(10, 20)
    assert history.target(20, status(in_use=500)) is None
    assert history.target(20, status(in_use=501)) == 20


def test_revisions_that_a_restored_backup_does_not_have_are_no_targets() -> None:
    history = History(keep_s=0)
    history.note(0, 10)
    history.note(10, 20)
    history.forget_above(15)
    assert history.target(20, status(revision=15)) == 10


def test_pressure_is_the_part_of_the_quota_in_use() -> None:
    assert pressure(status(in_use=250)) == 0.25
    assert pressure(status(in_use=250, quota=0)) == 0.0


def write(client: EtcdClient, value: bytes) -> int:
    answer = client.transact(requests.transaction((), (requests.put(b"/hot", value),))).result()
    revision: int = answer.header.revision
    return revision


@pytest.mark.services
def test_compaction_keeps_the_size_bounded_and_frees_old_revisions(own_etcd: Callable[..., LocalServer]) -> None:
    client = EtcdClient(Access((own_etcd("--auto-compaction-retention=0").address,)))
    now_s = 0.0
    compactor = Compactor(client, keep_s=20, monotonic_s=lambda: now_s)
    oldest = write(client, b"")
    sizes, targets = [], []
    for _ in range(12):
        for _ in range(20):
            write(client, bytes(100_000))
        targets.append(compactor.run_once())
        latest = compactor.status()
        assert latest is not None
        sizes.append(latest.size_in_use_bytes)
        now_s += 10
    assert targets[:2] == [None, None]
    assert None not in targets[2:]
    assert max(sizes) < 12 * 20 * 100_000 / 2
    assert 0 < compactor.pressure() < 1
    with pytest.raises(CompactedError):
        list(client.pages(b"/", b"0", revision=oldest, page_keys=10))
    client.close()


@pytest.mark.services
def test_the_thread_goes_on_after_an_outage(own_etcd: Callable[..., LocalServer]) -> None:
    server = own_etcd("--auto-compaction-retention=0")
    client = EtcdClient(Access((server.address,)))
    compactor = Compactor(client, interval_s=0.05, keep_s=0)
    compactor.start()
    server.kill()
    server.start()
    wait_until(lambda: answers(client), what="the server is back")
    oldest = write(client, b"")

    def is_compacted() -> bool:
        write(client, b"later")
        try:
            list(client.pages(b"/", b"0", revision=oldest, page_keys=10))
        except CompactedError:
            return True
        return False

    wait_until(is_compacted)
    compactor.stop()
    compactor.stop()
    client.close()


def test_a_compactor_never_started_stops_and_knows_nothing() -> None:
    client: Any = None
    compactor = Compactor(client)
    compactor.stop()
    assert (compactor.status(), compactor.pressure()) == (None, 0.0)
