"""Eight shards, three processes, and for a minute one of them after another is killed, frozen, ended or added."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.checker.epochs import epochs_seen
from tests.integration.conftest import Note
from tests.integration.fleet import Fleet, fleet_on
from tests.integration.processes import ProcessorProcess
from tests.integration.stage import Stage
from tests.services import Etcd, Kafka
from tests.waiting import wait_until

SHARDS = 8
DURATION_S = float(os.environ.get("PROCESSOR_TEST_CHURN_S", "60"))
EVENTS_PER_S = 8.0
"""A shard: together they keep a small machine busy without filling it."""
PROCESSES = 3
PROCESSES_MAX = 4
LEASE_S = 2.0
FROZEN_S = (0.5, 2 * LEASE_S)
PAUSE_S = (0.2, 3.0)
ADD_SHARE = 0.4

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_on(Stage(namespace, kafka.bootstrap, etcd.endpoint, tmp_path, shards=SHARDS)) as built:
        yield built


class Churn:
    """Does one thing after another to the processes of a fleet; a seed decides which."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self._fleet = fleet
        self._chance = Random(seed)
        self._frozen: dict[ProcessorProcess, float] = {}
        self.running = [fleet.start() for _ in range(PROCESSES)]
        self.done: Counter[str] = Counter()

    def go_on_until(self, end_s: float) -> None:
        """Act until the time is up, then let everybody go on."""
        while (now_s := time.monotonic()) < end_s:
            self._thaw(now_s)
            self._act()
            next_s = time.monotonic() + self._chance.uniform(*PAUSE_S)
            wait_until(lambda: time.monotonic() >= next_s, what="the pause is over")  # noqa: B023 - used at once
        self._thaw(float("inf"))

    def _act(self) -> None:
        awake = [process for process in self.running if process not in self._frozen]
        few = len(self.running) < PROCESSES_MAX and self._chance.random() < ADD_SHARE
        if few or len(awake) < 2:
            self._add()
        else:
            self._hit(self._chance.choice(("kill", "freeze", "end")), self._chance.choice(awake))

    def _add(self) -> None:
        self.done["add"] += 1
        self.running.append(self._fleet.start())

    def _hit(self, name: str, victim: ProcessorProcess) -> None:
        self.done[name] += 1
        if name == "freeze":
            victim.freeze()
            self._frozen[victim] = time.monotonic() + self._chance.uniform(*FROZEN_S)
            return
        self.running.remove(victim)
        if name == "kill":
            victim.kill()
        else:
            code = victim.terminate()
            assert code == 0 or not victim.log, victim.log[-3000:]  # it had not begun yet

    def _thaw(self, now_s: float) -> None:
        for process in [process for process, until_s in self._frozen.items() if until_s <= now_s]:
            process.thaw()
            del self._frozen[process]


def test_whatever_happens_to_processes_nothing_happens_to_shards(fleet: Fleet, note: Note) -> None:
    seed = int(time.time())
    churn = Churn(fleet, seed)
    fleet.wait_until_shared(churn.running)
    fleet.begin(int(DURATION_S * EVENTS_PER_S), records_per_s=EVENTS_PER_S)
    churn.go_on_until(time.monotonic() + DURATION_S)
    fleet.wait_until_shared(churn.running)
    fleet.assert_whole()
    epochs = [len(epochs_seen(play.artefacts())) for play in fleet.plays]
    note(f"seed {seed}: {dict(churn.done)}; owners that committed, by shard: {epochs}")
    assert {"kill", "freeze", "end", "add"} <= churn.done.keys()
    assert min(epochs) > 1
