"""Several shards, several processes: who owns what when processes come, go, die and freeze."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checker.epochs import epochs_seen
from tests.integration.conftest import Note
from tests.integration.fleet import Fleet, fleet_on, moved
from tests.integration.processes import command
from tests.integration.stage import Stage
from tests.services import Etcd, Kafka

SHARDS = 8
EVENTS = 60
FLOWING_EVENTS = 400
FLOWING_PER_S = 20.0
LONG_LEASE_S = "60"
PATIENT_LEASE_S = "10"
"""Nobody loses a lease of this length by waiting for a busy machine."""

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_on(Stage(namespace, kafka.bootstrap, etcd.endpoint, tmp_path, shards=SHARDS)) as built:
        yield built


def test_shares_stay_fair_while_processes_come_and_go_and_nothing_moves_without_need(fleet: Fleet, note: Note) -> None:
    first = fleet.start(SHARDS__LEASE_TTL_S=PATIENT_LEASE_S)
    alone = fleet.wait_until_shared([first])
    fleet.begin(FLOWING_EVENTS, records_per_s=FLOWING_PER_S)
    second = fleet.start(SHARDS__LEASE_TTL_S=PATIENT_LEASE_S)
    of_two = fleet.wait_until_shared([first, second])
    assert len(moved(alone, of_two)) == 4
    third = fleet.start(SHARDS__LEASE_TTL_S=PATIENT_LEASE_S)
    of_three = fleet.wait_until_shared([first, second, third])
    assert len(moved(of_two, of_three)) == 2
    left = fleet.owned_by(first.name)
    assert first.terminate() == 0
    of_rest = fleet.wait_until_shared([second, third])
    assert moved(of_three, of_rest) == left
    lost, sent = fleet.owned_by(second.name), fleet.sent()
    second.kill()
    note(f"kill to the last of {len(lost)} shards owned again: {fleet.wait_until_owned_by_others(lost, of_rest):.2f} s")
    assert moved(of_rest, fleet.wait_until_shared([third])) == lost
    fleet.assert_whole()
    assert 0 < sent < fleet.sent(), "events flowed before and afterwards"
    assert third.logged("ownership_lost") == []


def test_what_an_ending_process_owned_is_owned_again_within_a_moment(fleet: Fleet, note: Note) -> None:
    first, second, third = (fleet.start(SHARDS__LEASE_TTL_S=LONG_LEASE_S) for _ in range(3))
    before = fleet.wait_until_shared([first, second, third])
    fleet.send(EVENTS)
    left = fleet.owned_by(second.name)
    began_s = time.monotonic()
    second.ask_to_end()
    owned_s = fleet.wait_until_owned_by_others(left, before)
    fleet.send(EVENTS, seed=100)
    note(f"SIGTERM to the last of {len(left)} shards owned again: {owned_s:.2f} s, lease 60 s")
    note(f"SIGTERM to another {EVENTS} events a shard consumed: {time.monotonic() - began_s:.2f} s")
    fleet.assert_whole()


def test_a_frozen_process_finds_out_by_itself_that_others_own_its_shards(fleet: Fleet) -> None:
    first, second, third = (fleet.start() for _ in range(3))
    before = fleet.wait_until_shared([first, second, third])
    fleet.send(EVENTS)
    lost = fleet.owned_by(first.name)
    first.freeze()
    fleet.wait_until_owned_by_others(lost, before)
    of_rest = fleet.wait_until_shared([second, third])
    first.thaw()
    first.wait_for_log("ownership_lost", count=len(lost))
    assert moved(before, of_rest) == lost
    fleet.wait_until_shared([first, second, third])
    first.wait_until_ready()
    fleet.send(EVENTS, seed=100)
    fleet.assert_whole()
    for shard in lost:
        first_epoch, *later = epochs_seen(fleet.plays[shard].artefacts())
        assert first_epoch == before[shard]
        assert len(later) > 0


def test_every_process_knows_what_it_owns_and_the_command_knows_it_of_all(fleet: Fleet) -> None:
    processes = [fleet.start() for _ in range(3)]
    epochs = fleet.wait_until_shared(processes)
    fleet.send(EVENTS)
    for process in processes:
        process.wait_until_ready()
        owned = {shard["shard"] for shard in process.status()["shards"] if shard["phase"] == "owner"}
        assert owned == fleet.owned_by(process.name)
        standby = [shard for shard in process.status()["shards"] if shard["phase"] == "standby"]
        assert (len(standby), {shard["status"] for shard in standby}) == (SHARDS - len(owned), {"healthy"})
    listed = command(fleet.stage.environment(), "shards", "list", "-o", "json")
    assert listed.returncode == 0, listed.stderr
    rows = json.loads(listed.stdout)
    assert {row["shard"]: row["epoch"] for row in rows} == epochs
    assert [row["cluster"] for row in rows] == list(fleet.stage.clusters)
    assert {row["owner"] for row in rows} == {process.name for process in processes}
    fleet.assert_whole()
