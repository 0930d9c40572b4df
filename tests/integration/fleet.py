"""Several shards and the processors that share them, and who owns what at a moment."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from tests.checker.artefacts import Artefacts
from tests.checker.ranges import settled
from tests.integration.play import Play
from tests.integration.processes import ProcessorProcess
from tests.integration.stage import Stage
from tests.integration.submitter import Line, Traffic
from tests.waiting import wait_until

MOVE_TIMEOUT_S = 180.0

Epochs = dict[int, int]


class Fleet:
    """A play a shard; processors are started and ended by the test."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.plays = [Play(stage, shard=shard) for shard in range(stage.shards)]
        self._flows: list[Traffic] = []

    def start(self, **settings: str) -> ProcessorProcess:
        """Start a processor."""
        return self.stage.start(**settings)

    def scripts(self, count: int, *, seed: int = 1) -> list[list[Line]]:
        """Return a life of `count` events for each shard."""
        return [play.script(count, seed=seed + play.shard) for play in self.plays]

    def begin(self, count: int, *, records_per_s: float) -> None:
        """Begin to send a life of `count` events to each shard, at this rate each."""
        for play, lines in zip(self.plays, self.scripts(count), strict=True):
            self._flows.append(play.traffic(lines, records_per_s=records_per_s))
            self._flows[-1].allow(len(lines))

    def sent(self) -> int:
        """Return how many records have been sent of what was begun."""
        return sum(flow.sent for flow in self._flows)

    def send(self, count: int, *, seed: int = 1) -> None:
        """Send a life of `count` events to each shard, and wait until the commit logs have passed them."""
        for play, lines in zip(self.plays, self.scripts(count, seed=seed), strict=True):
            play.submitter.send(lines)
        for play in self.plays:
            play.wait_until_consumed()

    def epochs(self) -> Epochs:
        """Return the epoch of each shard that is owned."""
        found = {play.shard: play.store.owner_epoch() for play in self.plays}
        return {shard: epoch for shard, epoch in found.items() if epoch}

    def owned(self) -> Counter[str]:
        """Return how many shards each instance owns."""
        return Counter(owner for play in self.plays if (owner := play.store.owner()))

    def owned_by(self, name: str) -> set[int]:
        """Return the shards that an instance owns."""
        return {play.shard for play in self.plays if play.store.owner() == name}

    def wait_until_shared(self, processes: Iterable[ProcessorProcess]) -> Epochs:
        """Wait until every shard is owned, and each of these owns its fair share; return the epochs."""
        names = [process.name for process in processes]
        floor, ceiling = self.stage.shards // len(names), -(-self.stage.shards // len(names))

        def is_shared() -> bool:
            owned = self.owned()
            fair = all(floor <= owned[name] <= ceiling for name in names)
            return fair and sum(owned[name] for name in names) == self.stage.shards

        wait_until(is_shared, what=f"{names} share all shards", timeout_s=MOVE_TIMEOUT_S)
        return self.epochs()

    def wait_until_owned_by_others(self, shards: Collection[int], before: Epochs) -> float:
        """Wait until these shards have another epoch than before; return how long that took, in s."""
        began_s = time.monotonic()

        def moved() -> bool:
            epochs = self.epochs()
            return all(epochs.get(shard, before[shard]) != before[shard] for shard in shards)

        wait_until(moved, what=f"shards {sorted(shards)} are taken over", timeout_s=MOVE_TIMEOUT_S)
        return time.monotonic() - began_s

    def assert_whole(self) -> list[Artefacts]:
        """Wait until all is sent and quiet, end the processors, and judge every shard; return what was judged.

        The last word has a processor whose clock stands still: a tick could come after whatever was the last event.
        """
        for flow in self._flows:
            flow.wait_until_sent(flow.total)
        for play in self.plays:
            play.wait_until_quiet()
        for process in self.running():
            assert process.terminate() == 0, process.log[-3000:]
        self.start(CLOCK__ENABLED="false")
        for play in self.plays:
            wait_until(
                partial(_is_settled, play), what=f"shard {play.shard} is read to its end", timeout_s=MOVE_TIMEOUT_S
            )
        return [play.assert_whole() for play in self.plays]

    def running(self) -> list[ProcessorProcess]:
        """Return the processes that have not ended."""
        return [process for process in self.stage.processes if process.exit_code is None]

    def close(self) -> None:
        """Stop reading and sending."""
        for play in self.plays:
            play.close()


def _is_settled(play: Play) -> bool:
    return not list(settled(play.artefacts()))


def moved(before: Epochs, after: Epochs) -> set[int]:
    """Return the shards that have another epoch."""
    return {shard for shard in before.keys() | after.keys() if before.get(shard) != after.get(shard)}


@contextmanager
def fleet_on(stage: Stage) -> Iterator[Fleet]:
    """Give a fleet on a stage that is built first and struck afterwards."""
    stage.build()
    fleet = Fleet(stage)
    yield fleet
    fleet.close()
    stage.strike()
