"""Processes that cannot tell their own names apart: the same PROCESSOR_INSTANCE, or host and pid."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.fleet import Fleet, fleet_on
from tests.integration.processes import ProcessorProcess
from tests.integration.stage import Stage
from tests.services import Etcd, Kafka
from tests.waiting import wait_until

EVENTS = 10
NAME = "same-7"

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_on(Stage(namespace, kafka.bootstrap, etcd.endpoint, tmp_path, shards=2)) as built:
        yield built


def owned(process: ProcessorProcess) -> list[int]:
    return [shard["shard"] for shard in process.status()["shards"] if shard["phase"] == "owner"]


def test_two_processes_of_one_name_share_fairly_and_each_names_the_other(fleet: Fleet) -> None:
    first, second = (fleet.start(INSTANCE=NAME, SHARDS__LEASE_TTL_S="1") for _ in range(2))
    for process in (first, second):
        process.wait_until_ready()
    wait_until(lambda: sorted(owned(first) + owned(second)) == [0, 1] and len(owned(first)) == 1, what="one each")
    told = [process.wait_for_log("instance_name_shared") for process in (first, second)]
    fleet.send(EVENTS)
    assert [one["level"] for one in told] == ["warning", "warning"]
    assert told[0]["us"] in told[1]["other"]
    assert told[1]["us"] in told[0]["other"]
    assert f"pid {second.pid}, " in told[0]["other"]
    assert all(one["us"].startswith(f"{NAME}~") for one in told)
    assert [len(process.logged("instance_name_shared")) for process in (first, second)] == [1, 1]
    assert first.terminate() == 0
    wait_until(lambda: owned(second) == [0, 1], what="the other one takes both")
    fleet.assert_whole()
