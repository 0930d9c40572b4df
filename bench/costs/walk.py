"""Measuring step by step: each step's events are reduced several times over from the same state, then the walk goes on.

The state generator is pure, so that repeating costs nothing but time.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from bench.costs.shapes import START_MS
from processor.assembly.engine import Domain
from processor.cluster.event_parsing import parse_event
from processor.cluster.events import Event
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.state import State
from processor.engine.images import Images

BATCH = 500


class Cost(msgspec.Struct, frozen=True):
    """What one thing costs in processor time: `count` of them were measured in each run."""

    name: str
    count: int
    us: tuple[float, ...]


class RefusedError(Exception):
    """The walk has an event that the state generator refuses or that changes nothing."""


class Walk:
    """A state that goes on from step to step, and what each step cost."""

    def __init__(self, domain: Domain, state: State, *, runs: int) -> None:
        self.machine = ClusterMachine()
        self.state = state
        self.costs: list[Cost] = []
        self._encoder = domain.encoder
        self._runs = runs
        self._at_ms = START_MS

    def event(self, event_type: str, *, later_ms: int = 1, **data: Any) -> Event:
        """Return the next event, a millisecond (or so much) later than the one before."""
        self._at_ms += later_ms
        return parse_event(event_type, self._at_ms, data)

    def step(self, name: str, events: Sequence[Event], *, idle: bool = False) -> None:
        """Measure these events and go on to what they lead to. `idle`: they are to change nothing."""
        self.state = self._measured(name, events, idle=idle)

    def aside(self, name: str, events: Sequence[Event], *, idle: bool = False) -> None:
        """Measure these events and stay."""
        self._measured(name, events, idle=idle)

    def skip(self, events: Sequence[Event]) -> None:
        """Go on to what these events lead to, without measuring."""
        self.state = self._folded("on the way", events, idle=False)

    def reading(self, name: str, read: Callable[[State, str], Any], names: Sequence[str]) -> None:
        """Measure what is read out of the state, once a name."""
        runs = []
        for _ in range(self._runs):
            began_s = time.process_time()
            for one in names:
                read(self.state, one)
            runs.append(_us(time.process_time() - began_s, len(names)))
        self.costs.append(Cost(name, len(names), tuple(runs)))

    def changes(self, name: str, events: Sequence[Event]) -> None:
        """Measure what follows upon the reducing: the difference of a batch, its encoding, its digest."""
        before = self.machine.begin(self.state)
        after = self._reduced(name, before, events[:BATCH], idle=False)
        found = self.machine.diff(before, after)
        diffs, encodings = [], []
        for _ in range(self._runs):
            images, began_s = Images(self._encoder), time.process_time()
            self.machine.diff(before, after)
            compared_s = time.process_time()
            images.encode(found)
            diffs.append(_us(compared_s - began_s, len(found)))
            encodings.append(_us(time.process_time() - compared_s, 2 * len(found)))
        self.costs.append(Cost(f"{name}: diff, a change", len(found), tuple(diffs)))
        self.costs.append(Cost(f"{name}: encode and digest, an entity", 2 * len(found), tuple(encodings)))

    def _measured(self, name: str, events: Sequence[Event], *, idle: bool) -> State:
        runs, state = [], self.state
        for _ in range(self._runs):
            began_s = time.process_time()
            state = self._folded(name, events, idle=idle)
            runs.append(_us(time.process_time() - began_s, len(events)))
        self.costs.append(Cost(name, len(events), tuple(runs)))
        return state

    def _folded(self, name: str, events: Sequence[Event], *, idle: bool) -> State:
        state = self.state
        for first in range(0, len(events), BATCH):
            state = self._reduced(name, self.machine.begin(state), events[first : first + BATCH], idle=idle)
        return self.machine.begin(state)

    def _reduced(self, name: str, state: State, events: Sequence[Event], *, idle: bool) -> State:
        apply = self.machine.apply
        for event in events:
            after = apply(state, event)
            if isinstance(after, Rejected) or (after is state) is not idle:
                raise RefusedError(f"{name}: {event}: {after if isinstance(after, Rejected) else 'not as expected'}")
            state = after
        return state


def _us(seconds: float, count: int) -> float:
    return seconds / count * 1e6
