from random import Random

import pytest

from tests.simulation.scheduler import Ended, Scheduler

LATEST_MS = 1000.0


def test_actors_and_calls_run_in_the_order_of_virtual_time() -> None:
    scheduler, seen = Scheduler(Random(1)), []

    def walk(name: str, stride_ms: float) -> None:
        for _ in range(3):
            scheduler.pause(stride_ms)
            seen.append((name, scheduler.now_ms))

    scheduler.spawn("slow", lambda: walk("slow", 10))
    scheduler.spawn("fast", lambda: walk("fast", 4))
    scheduler.after(9, lambda: seen.append(("call", scheduler.now_ms)))
    scheduler.run(until_ms=LATEST_MS)
    assert seen == [("fast", 4), ("fast", 8), ("call", 9), ("slow", 10), ("fast", 12), ("slow", 20), ("slow", 30)]


def test_what_is_due_at_the_same_moment_runs_in_an_order_that_the_seed_decides() -> None:
    def order(seed: int) -> list[int]:
        scheduler, seen = Scheduler(Random(seed)), []
        for number in range(10):
            scheduler.after(5, lambda number=number: seen.append(number))  # type: ignore[misc]
        scheduler.run(until_ms=LATEST_MS)
        return seen

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_a_run_ends_at_its_time_and_goes_on_from_there() -> None:
    scheduler, seen = Scheduler(Random(1)), []
    scheduler.after(10, lambda: seen.append(10))
    scheduler.after(30, lambda: seen.append(30))
    scheduler.run(until_ms=20)
    assert (seen, scheduler.now_ms) == ([10], 20)
    scheduler.run(until_ms=LATEST_MS)
    assert seen == [10, 30]


def test_an_error_of_an_actor_ends_the_run_and_is_kept() -> None:
    scheduler, seen = Scheduler(Random(1)), []

    def fail() -> None:
        raise ValueError("a bug")

    scheduler.spawn("broken", fail)
    scheduler.after(1, lambda: seen.append(1))
    scheduler.run(until_ms=LATEST_MS)
    assert isinstance(scheduler.failure, ValueError)
    assert seen == []


def test_closing_ends_every_actor_where_it_stands() -> None:
    scheduler, ended = Scheduler(Random(1)), []

    def wait() -> None:
        try:
            scheduler.pause(LATEST_MS)
        except Ended:
            ended.append("waiting")
            raise

    scheduler.spawn("waiting", wait)
    scheduler.run(until_ms=10)
    scheduler.close()
    assert ended == ["waiting"]


def test_a_call_may_not_pause() -> None:
    scheduler = Scheduler(Random(1))
    scheduler.after(1, lambda: scheduler.pause(1))
    scheduler.run(until_ms=LATEST_MS)
    with pytest.raises(AssertionError, match="may not pause"):
        raise scheduler.failure or ValueError
