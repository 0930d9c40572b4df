"""Processes that share shards are killed, frozen, asked to end and joined by others, as a seed decides."""

import time
from collections.abc import Callable, Iterator
from random import Random
from statistics import median

from tests.integration.fleet import MOVE_TIMEOUT_S, Epochs, Fleet
from tests.integration.processes import ProcessorProcess
from tests.waiting import wait_until

PROCESSES_MIN, PROCESSES_MAX = 2, 4
PAUSE_MAX_S = 3.0
FREEZE_MIN_S, FREEZE_MAX_S = 0.5, 8.0
"""Shorter and longer than a lease."""

Tell = Callable[[str], None]


class Chaos:
    """Strikes the processes of a fleet. `moves_s` has, by kind of strike, how long each shard took to be owned again.

    Which strikes, whom they hit and how long the pauses are is decided by the seed; when they end is up to the fleet.
    """

    def __init__(self, fleet: Fleet, *, seed: int, tell: Tell) -> None:
        self.fleet = fleet
        self.struck: dict[str, int] = {}
        self.moves_s: dict[str, list[float]] = {}
        self._chance = Random(seed)
        self._tell = tell
        self._began_s = time.monotonic()

    def rage(self, duration_s: float) -> None:
        """Strike at least once in every way, and go on until the time is up; all that was frozen goes on then."""
        strikes = self._strikes()
        for name, strike in strikes:
            self._wait(self._chance.uniform(0.0, PAUSE_MAX_S))
            self.struck[name] = self.struck.get(name, 0) + 1
            strike()
            if self._passed_s() > duration_s and self.struck.keys() == self._ways().keys():
                return

    def figures(self) -> str:
        """Return how often what was done, and how long it took until the shards were owned again."""
        return "; ".join(
            f"{name} {count}×" + (f", {_spread(self.moves_s[name])}" if self.moves_s.get(name) else "")
            for name, count in sorted(self.struck.items())
        )

    def _ways(self) -> dict[str, Callable[[], None]]:
        return {
            "join": self._join,
            "kill": self._kill,
            "kill two": self._kill_two,
            "freeze": self._freeze,
            "end": self._end,
            "kill beside a frozen one": self._kill_beside_a_frozen_one,
        }

    def _strikes(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield every way once, in an order of chance, again and again."""
        while True:
            round_ = list(self._ways().items())
            self._chance.shuffle(round_)
            yield from round_

    def _join(self) -> None:
        if len(self.fleet.running()) >= PROCESSES_MAX:
            self._end()
        self._start()

    def _kill(self) -> None:
        self._kill_some(1, "kill")

    def _kill_two(self) -> None:
        self._kill_some(2, "kill two")

    def _kill_some(self, count: int, name: str) -> None:
        self._fill(count + 1)
        victims = self._chance.sample(self.fleet.running(), count)
        before, lost = self.fleet.epochs(), self._owned_by(victims)
        for victim in victims:
            victim.kill()
        self._say(name, victims, lost)
        self._measure(name, before, lost)
        self._fill(PROCESSES_MIN)

    def _end(self) -> None:
        self._fill(PROCESSES_MIN)
        victim = self._chance.choice(self.fleet.running())
        before, lost = self.fleet.epochs(), self._owned_by([victim])
        self._say("end", [victim], lost)
        victim.ask_to_end()
        self._measure("end", before, lost)
        wait_until(lambda: victim.exit_code is not None, what=f"{victim.name} has ended", timeout_s=MOVE_TIMEOUT_S)
        assert victim.exit_code == 0, victim.log[-3000:]

    def _freeze(self) -> None:
        self._fill(PROCESSES_MIN)
        victim = self._chance.choice(self.fleet.running())
        with_shards = self._owned_by([victim])
        frozen_s = self._chance.uniform(FREEZE_MIN_S, FREEZE_MAX_S)
        victim.freeze()
        self._say(f"freeze for {frozen_s:.1f} s", [victim], with_shards)
        self._wait(frozen_s)
        victim.thaw()

    def _kill_beside_a_frozen_one(self) -> None:
        self._fill(PROCESSES_MIN + 1)
        frozen, killed = self._chance.sample(self.fleet.running(), 2)
        before, lost = self.fleet.epochs(), self._owned_by([frozen, killed])
        frozen.freeze()
        killed.kill()
        self._say("kill beside a frozen one", [killed, frozen], lost)
        self._measure("kill beside a frozen one", before, lost)
        frozen.thaw()

    def _fill(self, count: int) -> None:
        while len(self.fleet.running()) < count:
            self._start()

    def _start(self) -> None:
        process = self.fleet.start()
        self._say("start", [process], set())
        process.wait_for_log("instances_changed")

    def _measure(self, name: str, before: Epochs, lost: set[int]) -> None:
        """Wait until each of these shards has another epoch; note how long each of them took."""
        began_s, waiting = time.monotonic(), lost & before.keys()
        took_s = self.moves_s.setdefault(name, [])

        def all_moved() -> bool:
            epochs = self.fleet.epochs()
            now_s = time.monotonic() - began_s
            for shard in [shard for shard in waiting if epochs.get(shard, before[shard]) != before[shard]]:
                waiting.discard(shard)
                took_s.append(now_s)
            return not waiting

        wait_until(all_moved, what=f"shards {sorted(lost)} are owned by others", timeout_s=MOVE_TIMEOUT_S)

    def _owned_by(self, processes: list[ProcessorProcess]) -> set[int]:
        return set().union(*(self.fleet.owned_by(process.name) for process in processes))

    def _wait(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= until_s, what="the pause is over", timeout_s=seconds + MOVE_TIMEOUT_S)

    def _say(self, what: str, processes: list[ProcessorProcess], shards: set[int]) -> None:
        names = " and ".join(process.name for process in processes)
        self._tell(f"{self._passed_s():6.1f} s: {what}: {names}, shards {sorted(shards)}")

    def _passed_s(self) -> float:
        return time.monotonic() - self._began_s


def _spread(values: list[float]) -> str:
    return f"{len(values)} shards owned again after {median(values):.2f} s (median), {max(values):.2f} s (longest)"
