from itertools import pairwise

from examples.device_twins.machine import DeviceTwins, Twins
from processor.engine.housekeeping import TickTimer
from tests.engine.world import World


class Impatient(DeviceTwins):
    """Wants to be woken at a fixed time."""

    def __init__(self, due_ms: int | None) -> None:
        self._due_ms = due_ms

    def due_ms(self, state: Twins) -> int | None:
        del state
        return self._due_ms


class Ticks:
    def __init__(self) -> None:
        self.sent: list[int] = []

    def tick(self, at_ms: int) -> None:
        self.sent.append(at_ms)

    def close(self) -> None:
        pass


def ticks_until(seconds: float, *, due_ms: int | None) -> list[int]:
    world, ticks = World(tick_interval_ms=1000), Ticks()
    machine = Impatient(due_ms)
    alarm = TickTimer(world.parts(machine=machine, ticker=ticks))
    while world.clock.seconds < seconds:
        alarm.tick_if_due(machine.empty())
        world.clock.sleep(0.05)
    return ticks.sent


def test_nothing_due_sends_nothing() -> None:
    assert ticks_until(1010, due_ms=None) == []
    assert ticks_until(1010, due_ms=1_020_000) == []


def test_a_tick_is_sent_once_the_time_has_come_and_then_once_an_interval_while_it_is_due() -> None:
    sent = ticks_until(1008.3, due_ms=1_005_000)
    assert len(sent) == 4
    assert 1_005_000 <= sent[0] < 1_005_200
    assert all(later - earlier >= 1000 for earlier, later in pairwise(sent))


def test_without_a_ticker_ticks_are_left_to_others() -> None:
    world = World()
    machine = Impatient(0)
    TickTimer(world.parts(machine=machine)).tick_if_due(machine.empty())
    assert world.output("changes") == []
