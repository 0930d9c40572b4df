"""Failpoints as the settings name them: which fault fires at which place, for tests of what a crash leaves behind.

    after_commit=3*off->kill;after_take=sleep(500)

Failpoints are separated by `;`. One is the name of a place and terms that follow each other by `->`. A term is an
action, with `N*` before it: the next N times that the place is passed, and without: from then on. After the last term
nothing happens any more. Actions:

off          nothing
kill         SIGKILL to this process
stop         SIGSTOP to this process, which goes on when somebody sends it SIGCONT
sleep(MS)    the thread that passes pauses for so many milliseconds
raise        an exception that nobody expects: a bug, as the process sees it
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Literal, cast, get_args

import msgspec

from processor.engine.failpoints import Failpoint, Point, never

POINTS: tuple[Point, ...] = get_args(Point)
TERM = re.compile(r"(?:(?P<count>[1-9]\d*)\*)?(?P<action>off|kill|stop|raise|sleep\((?P<ms>\d+)\))")

Action = Literal["off", "kill", "stop", "raise", "sleep"]
Announce = Callable[..., None]
"""Called as (event name, fields) before an action; what it writes must be out when it returns."""


class FailpointRaised(Exception):
    """Raised by a failpoint; no handler catches it."""


class Term(msgspec.Struct, frozen=True):
    """What happens the next `count` times, None: from then on. `sleep_ms` is for the action sleep."""

    action: Action
    count: int | None = None
    sleep_ms: int = 0


Terms = tuple[Term, ...]


def parse(text: str) -> dict[Point, Terms]:
    """Parse the setting. Raises ValueError with a message for people."""
    failpoints: dict[Point, Terms] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, terms = (piece.strip() for piece in part.partition("="))
        point = _known(name)
        if not equals:
            raise ValueError(f"failpoint {name}: say what happens there, for example {name}=3*off->kill")
        if point in failpoints:
            raise ValueError(f"failpoint {name} stands there twice")
        failpoints[point] = tuple([_term(name, term.strip()) for term in terms.split("->")])
    return failpoints


def armed(text: str, announce: Announce) -> Failpoint:
    """Return the function that fires what the settings say; without any, the one that does nothing."""
    failpoints = parse(text)
    return Failpoints(failpoints, announce) if failpoints else never


class Failpoints:
    """Fires at places; may be called from any thread. `actions` are what the actions do, given their term."""

    def __init__(
        self,
        failpoints: Mapping[Point, Terms],
        announce: Announce,
        actions: Mapping[str, Callable[[Term], None]] | None = None,
    ) -> None:
        self._failpoints = failpoints
        self._announce = announce
        self._actions = ACTIONS if actions is None else actions
        self._passed: dict[Point, int] = dict.fromkeys(failpoints, 0)
        self._lock = threading.Lock()

    def __call__(self, point: Point) -> None:
        """Pass a place. Raises FailpointRaised where that is the action."""
        terms = self._failpoints.get(point)
        if terms is None:
            return
        with self._lock:
            term = _term_at(terms, self._passed[point])
            self._passed[point] += 1
        if term is not None and term.action != "off":
            self._announce("failpoint", point=point, action=term.action)
            self._actions[term.action](term)


def _term_at(terms: Terms, passed: int) -> Term | None:
    """Return the term for a place that was passed so many times before."""
    for term in terms:
        if term.count is None or passed < term.count:
            return term
        passed -= term.count
    return None


def _raise(term: Term) -> None:
    raise FailpointRaised(f"failpoint: {term.action}")


ACTIONS: Mapping[str, Callable[[Term], None]] = {
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "sleep": lambda term: time.sleep(term.sleep_ms / 1000),
    "raise": _raise,
}


def _known(name: str) -> Point:
    if name not in POINTS:
        near = get_close_matches(name, POINTS, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"there is no failpoint {name!r}{meant}; there are {', '.join(POINTS)}")
    return name


def _term(name: str, text: str) -> Term:
    found = TERM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"failpoint {name}: {text!r} is no term; one is off, kill, stop, raise or sleep(MS), or N* and one of these"
        )
    count, ms = found["count"], found["ms"]
    action = cast("Action", found["action"].partition("(")[0])
    return Term(action, int(count) if count else None, int(ms or 0))
