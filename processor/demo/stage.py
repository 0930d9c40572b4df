"""The rim of the play: hears the changes topic, lets the actors decide, sends what they say."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

import msgspec

from processor.demo.cast import Cast
from processor.demo.notices import Event, Garbage, Line, Notice

HEAR_TIMEOUT_S = 0.02
LAG_MAX = 2000
"""Records on their way above which nobody says anything: the embedded broker keeps only the newest megabytes."""


class Heard(Protocol):
    """Where announcements come from."""

    def notices(self, timeout_s: float) -> Iterable[Notice]:
        """Return the changes announced since the last call; wait up to `timeout_s` for the first."""
        ...


class Mouth(Protocol):
    """Where events go to."""

    def say(self, event: Event, event_id: str) -> None:
        """Send an event to the topic of its lane."""
        ...

    def spoil(self, garbage: Garbage, event_id: str) -> None:
        """Send a record that is no event."""
        ...


class Tally(msgspec.Struct):
    """How many records were sent, and how many came out of the processor; each is written by one thread only."""

    sent: int = 0
    reduced: int = 0

    @property
    def lag(self) -> int:
        """Return how many are on their way."""
        return self.sent - self.reduced


class Stage:
    """Plays until `stopping`; `subjects` remembers what each event was about, for the feed."""

    def __init__(self, heard: Heard, mouth: Mouth, *, now_ms: Callable[[], int], seed: int) -> None:
        self._heard = heard
        self._mouth = mouth
        self._now_ms = now_ms
        self._random = Random(seed)  # noqa: S311 - a play is repeated by its seed; nothing secret depends on it
        self.tally = Tally()
        self.subjects: dict[str, str] = {}

    def play(self, stopping: Callable[[], bool]) -> None:
        """Run the play in this thread."""
        cast, lines = Cast.enter(self._now_ms())
        self._say(lines)
        while not stopping():
            for notice in self._heard.notices(HEAR_TIMEOUT_S):
                cast, lines = cast.hear(notice, self._now_ms(), self._random)
                self._say(lines)
            if self.tally.lag < LAG_MAX:
                cast, lines = cast.act(self._now_ms(), self._random)
                self._say(lines)

    def _say(self, lines: Iterable[Line]) -> None:
        for line in lines:
            event_id = f"demo-{self.tally.sent}"
            if isinstance(line, Event):
                self.subjects[event_id] = line.subject()
                self._mouth.say(line, event_id)
            else:
                self._mouth.spoil(line, event_id)
            self.tally.sent += 1
