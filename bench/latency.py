"""Rows 3 and 4: from the scheduled time of sending to a read_committed consumer, calm and during a backlog.

Open loop: what is sent does not wait for what came, so a pause of the processor is seen by all that was due meanwhile.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from bench.feeder import Feed
from bench.filling import fill, fill_at_once
from bench.listener import Listener
from bench.peer import DEVICES, device_name, reading_values
from bench.place import PROJECT, Place, Servers, new_place
from bench.processes import running_worker
from bench.results import Figures, Row
from bench.worker import Spec

RATE = 2_000
URGENT_RATE = 200
WARM_UP_S = 2.0
LEAD_S = 2.0
"""Until a feeder has started and made its records."""
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 300.0
HELLO, BACKLOG, FED = 1, 10_000_000, 20_000_000
"""First readings of the three kinds."""


def latency(servers: Servers, *, seconds: int, runs: int) -> Iterator[Row]:
    """Measure both lanes at a calm rate, and a consumer that reads the same events from the inputs themselves."""
    raw, ours = [], []
    for _ in range(runs):
        raw.append(_raw(new_place(servers), seconds))
        ours.append(_calm(new_place(servers), seconds))
    settings = {"events/s": RATE, "seconds": seconds}
    yield Row("latency: a consumer of the input topics, no processor", settings, raw)
    yield Row("latency: a consumer of the announcements, half of the events in each lane", settings, ours)


def backlog(servers: Servers, *, events: int, runs: int) -> Iterator[Row]:
    """Measure the high lane while the normal one is flooded."""
    figures = [_flooded(new_place(servers), events) for _ in range(runs)]
    settings = {"waiting normal events": events, "high events/s": URGENT_RATE}
    yield Row("high lane while a backlog of the normal lane is worked off", settings, figures)


def _raw(place: Place, seconds: int) -> Figures:
    with Listener(place, ("high", "normal")) as listener:
        return _fed(place, listener, seconds)


def _calm(place: Place, seconds: int) -> Figures:
    with running_worker(Spec("peer", place)), Listener(place) as listener:
        _greet(place, listener)
        return _fed(place, listener, seconds)


def _fed(place: Place, listener: Listener, seconds: int) -> Figures:
    """Feed both lanes in turn; return what the listener had to wait."""
    spec = Feed(
        place=place,
        at_s=time.monotonic() + LEAD_S,
        rate=RATE,
        count=int((WARM_UP_S + seconds) * RATE),
        lanes=("high", "normal"),
        first=FED,
        first_device=0,
        devices=DEVICES,
    )
    with _feeding(spec):
        wanted = len(listener.came) + spec.count
        listener.listen(lambda: len(listener.came) >= wanted, timeout_s=WARM_UP_S + seconds + END_TIMEOUT_S)
    counted_s = spec.at_s + WARM_UP_S
    waits = [
        (spec.lane(reading), came_s - spec.due_s(reading))
        for came_s, reading in listener.readings()
        if reading >= FED and spec.due_s(reading) >= counted_s
    ]
    return {
        **_percentiles("high", [wait_s for lane, wait_s in waits if lane == "high"]),
        **_percentiles("normal", [wait_s for lane, wait_s in waits if lane == "normal"]),
    }


def _flooded(place: Place, events: int) -> Figures:
    flood = reading_values(events, first=BACKLOG, first_device=0, devices=DEVICES)
    with running_worker(Spec("peer", place)), Listener(place) as listener:
        _greet(place, listener)
        spec = Feed(
            place=place,
            at_s=time.monotonic() + LEAD_S,
            rate=URGENT_RATE,
            count=int(END_TIMEOUT_S * URGENT_RATE),
            lanes=("high",),
            first=FED,
            first_device=DEVICES,
            devices=DEVICES,
        )
        with _feeding(spec):
            listener.listen(_later(spec.at_s + WARM_UP_S), timeout_s=END_TIMEOUT_S)
            fill_at_once(place, flood)
            began_s = time.monotonic()
            last = f"device/{device_name((events - 1) % DEVICES)}".encode()
            rounds = -(-events // DEVICES)
            listener.listen(_seen(listener, last, times=rounds), timeout_s=END_TIMEOUT_S)
            ended_s = listener.came[-1][0]
    waits = [
        came_s - spec.due_s(reading)
        for came_s, reading in listener.readings()
        if reading >= FED and began_s <= spec.due_s(reading) <= ended_s
    ]
    return {**_percentiles("high", waits), "normal events/s meanwhile": events / (ended_s - began_s)}


def _greet(place: Place, listener: Listener) -> None:
    """Wait until the processor answers."""
    fill(place, reading_values(1, first=HELLO, first_device=0, devices=1))
    listener.listen(lambda: bool(listener.came), timeout_s=START_TIMEOUT_S)


@contextmanager
def _feeding(spec: Feed) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "bench.feeder", msgspec.json.encode(spec).decode()], cwd=PROJECT)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _later(at_s: float) -> Callable[[], bool]:
    return lambda: time.monotonic() >= at_s


def _seen(listener: Listener, key: bytes, *, times: int) -> Callable[[], bool]:
    """Return whether the key was announced so often; it looks only at what is new."""
    looked, found = len(listener.came), 0

    def seen() -> bool:
        nonlocal looked, found
        fresh = listener.came[looked:]
        looked += len(fresh)
        found += sum(came_key == key for _, came_key, _ in fresh)
        return found >= times

    return seen


def _percentiles(name: str, waits_s: Sequence[float]) -> Figures:
    ordered = sorted(waits_s)
    if not ordered:
        raise ValueError(f"{name}: nothing was due in the time measured")
    return {
        f"{name} p50 ms": ordered[len(ordered) // 2] * 1000,
        f"{name} p99 ms": ordered[len(ordered) * 99 // 100] * 1000,
        f"{name} max ms": ordered[-1] * 1000,
        f"{name} events": float(len(ordered)),
    }
