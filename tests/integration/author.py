"""A plausible life of a cluster, written down before it is played: seeded, so that a run can be had again.

The author folds what it writes with the project's own state machine, only to know what agents, routers and responders
would answer. What the processor makes of the lines, in the order in which it takes them, is the checker's business.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from processor.cluster.event_parsing import InvalidEvent, parse_json_event
from processor.cluster.events import HIGH_LANE
from processor.cluster.machine import ClusterMachine
from tests.integration.answers import answers_to
from tests.integration.wishes import Wishes

Event = tuple[str, Mapping[str, Any]]
"""Record name and data."""
Told = tuple[str, str, Mapping[str, Any], int]
"""Lane, record name, data, time in ms."""

ANSWERS_SHARE = 0.8
OVERTAKES_SHARE = 0.05
REPEATED_SHARE = 0.05
REPEATED_WITHIN = 4
OTHER_LANE_SHARE = 0.005
STEP_MS_MAX = 8
BACKWARDS_SHARE = 0.03
# No more retries or removals fall due after the last line, so that a run comes to rest.
LAST_WORD: Event = (
    "PolicyChanged",
    {
        "retry_interval_ms": 60_000,
        "retry_limit": 0,
        "tombstone_ttl_ms": 86_400_000,
        "scale_down_stabilisation_ms": 2000,
        "model_autoscaling": True,
        "server_autoscaling": True,
        "pack_servers": False,
    },
)


class Author:
    """Writes one life; `now_ms` is when it begins."""

    def __init__(self, seed: int, *, now_ms: int) -> None:
        self._random = Random(seed)
        self._machine = ClusterMachine()
        self._state = self._machine.empty()
        self._at_ms = now_ms
        self._wishes = Wishes(self._random)
        self._answers: list[Event] = []
        self._said: list[Event] = []

    def write(self, count: int) -> Iterator[Told]:
        """Yield `count` events: an opening, a life, and a last word after which nothing falls due."""
        opening = self._wishes.opening()
        yield from (self._tell(event) for event in opening)
        for _ in range(count - len(opening) - 1):
            yield self._tell(self._next())
        yield self._tell(LAST_WORD)

    def _next(self) -> Event:
        random = self._random
        if self._said and random.random() < REPEATED_SHARE:
            return random.choice(self._said[-REPEATED_WITHIN:])
        if self._answers and random.random() < ANSWERS_SHARE:
            overtakes = random.random() < OVERTAKES_SHARE
            return self._answers.pop(random.randrange(min(len(self._answers), 8)) if overtakes else 0)
        return self._wishes.next()

    def _tell(self, event: Event) -> Told:
        name, data = event
        self._at_ms += self._random.randrange(STEP_MS_MAX)
        backwards_ms = self._random.randrange(500) if self._random.random() < BACKWARDS_SHARE else 0
        at_ms = self._at_ms - backwards_ms
        self._fold(name, data, at_ms)
        self._said.append(event)
        lane = "high" if name in HIGH_LANE else "normal"
        if self._random.random() < OTHER_LANE_SHARE:
            lane = "normal" if lane == "high" else "high"
        return lane, name, data, at_ms

    def _fold(self, name: str, data: Mapping[str, Any], at_ms: int) -> None:
        try:
            event = parse_json_event(name, at_ms, data)
        except InvalidEvent:
            return
        before = self._machine.begin(self._state)
        after: Any = self._machine.apply(before, event)
        if isinstance(after, self._machine.rejection):
            return
        self._state = after
        for change in self._machine.diff(before, self._state):
            self._answers += answers_to(change, self._random)
