"""The I/O loop of the play: reads announcements, lets the actors decide, sends their events."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

import msgspec

from processor.demo.cast import Cast
from processor.demo.notices import Event, Garbage, Line, Notice

HEAR_TIMEOUT_S = 0.02
LAG_MAX = 2000
"""Records in flight above which no event is sent: the embedded broker keeps only the newest megabytes."""


class AnnouncementSource(Protocol):
    """Source of announcements."""

    def notices(self, timeout_s: float) -> Iterable[Notice]:
        """Return the changes announced since the last call; wait up to `timeout_s` for the first."""
        ...


class EventSender(Protocol):
    """Destination of events."""

    def send(self, event: Event, event_id: str) -> None:
        """Send an event to the topic of its lane."""
        ...

    def send_garbage(self, garbage: Garbage, event_id: str) -> None:
        """Send a record that is not an event."""
        ...


class Tally(msgspec.Struct):
    """Number of records sent and processed; each is written by one thread only."""

    sent: int = 0
    reduced: int = 0

    @property
    def lag(self) -> int:
        """Return the number of records in flight."""
        return self.sent - self.reduced


class Stage:
    """Runs the play until `stopping`; `subjects` is event id → subject, for the feed."""

    def __init__(self, heard: AnnouncementSource, sender: EventSender, *, now_ms: Callable[[], int], seed: int) -> None:
        self._announcements = heard
        self._sender = sender
        self._now_ms = now_ms
        self._random = Random(seed)  # noqa: S311 - a play is repeated by its seed; nothing secret depends on it
        self.tally = Tally()
        self.subjects: dict[str, str] = {}

    def play(self, stopping: Callable[[], bool]) -> None:
        """Run the play in this thread."""
        cast, lines = Cast.enter(self._now_ms())
        self._say(lines)
        while not stopping():
            for notice in self._announcements.notices(HEAR_TIMEOUT_S):
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
                self._sender.send(line, event_id)
            else:
                self._sender.send_garbage(line, event_id)
            self.tally.sent += 1
