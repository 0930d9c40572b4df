"""Eight shards, two to four processes, and nobody is spared: `make chaos MINUTES=10 SEED=7` for a long one."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checker.epochs import epochs_seen
from tests.integration.chaos import Chaos
from tests.integration.conftest import Note
from tests.integration.fleet import Fleet, fleet_on
from tests.integration.play import outcomes
from tests.integration.stage import Stage
from tests.services import Etcd, Kafka

SHARDS = 8
PROCESSES = 3
EVENTS_PER_S = 10.0
DURATION_S = float(os.environ.get("CHAOS_S", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_on(Stage(namespace, kafka.bootstrap, etcd.endpoint, tmp_path, shards=SHARDS)) as built:
        yield built


def test_processes_that_are_killed_frozen_and_ended_at_random_lose_and_double_nothing(fleet: Fleet, note: Note) -> None:
    fleet.wait_until_shared([fleet.start() for _ in range(PROCESSES)])
    fleet.begin(round(DURATION_S * EVENTS_PER_S), records_per_s=EVENTS_PER_S)
    chaos = Chaos(fleet, seed=SEED, tell=note)
    chaos.rage(DURATION_S)
    sent, ended_s = fleet.sent(), time.monotonic()
    fleet.send(20, seed=1000)
    fleet.wait_until_shared(fleet.running())
    for process in fleet.running():
        process.wait_until_ready()
    note(f"everything consumed, shares fair and all ready {time.monotonic() - ended_s:.1f} s after the last strike")
    judged = fleet.assert_whole()
    events = sum(sum(outcomes(artefacts).values()) for artefacts in judged)
    owners = [len(epochs_seen(artefacts)) for artefacts in judged]
    commits = sum(len(artefacts.commits) for artefacts in judged)
    note(f"seed {SEED}, {DURATION_S:.0f} s: {events} events in {commits} commits judged; {chaos.figures()}")
    note(f"owners that have committed, by shard: {owners}")
    assert sent > 0
    assert min(owners) > 1, "every shard has moved"
