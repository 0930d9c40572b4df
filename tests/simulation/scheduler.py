"""Virtual time and a baton: of many threads exactly one runs, and which one is decided by the clock and the seed.

A thread gives the baton away only in `pause`; it goes to whoever wakes up first. Nothing depends on the machine.
"""

import threading
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random


class Ended(BaseException):
    """The process ends here, whatever it was doing."""


class Actor:
    """A thread that runs only while it holds the baton."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.gate = threading.Lock()
        self.gate.acquire()
        self.thread: threading.Thread | None = None


class Scheduler:
    """Runs actors and calls in the order of virtual time, ms; of what is due at the same moment chance picks one."""

    def __init__(self, ties: Random) -> None:
        self.now_ms = 0.0
        self.failure: BaseException | None = None
        self._ties = ties
        self._serial = count()
        self._queue: list[tuple[float, float, int, Actor | Callable[[], object]]] = []
        self._main = Actor("main")
        self._running = self._main
        self._actors: list[Actor] = []
        self._deadline_ms = 0.0
        self._closing = False
        self._stopped = False
        self._calling = False

    def spawn(self, name: str, body: Callable[[], None]) -> None:
        """Begin an actor now. An error that leaves `body` ends the run and is kept as `failure`."""
        actor = Actor(name)
        actor.thread = threading.Thread(target=self._live, args=(actor, body), name=name, daemon=True)
        self._actors.append(actor)
        actor.thread.start()
        self._push(0.0, actor)

    def after(self, delay_ms: float, call: Callable[[], object]) -> None:
        """Call this at its time; it may not pause."""
        self._push(delay_ms, call)

    def pause(self, duration_ms: float) -> None:
        """Let the others run for so long. Raises Ended when the run is over."""
        if self._closing:
            raise Ended
        if self._calling:
            raise AssertionError("what is called at its time may not pause")
        actor = self._running
        self._push(duration_ms, actor)
        following = self._next()
        if following is actor:
            return
        self._hand_to(following)
        actor.gate.acquire()
        if self._closing:
            raise Ended

    def run(self, *, until_ms: float) -> None:
        """Run everything, at most until this time or `stop`."""
        self._deadline_ms, self._stopped = until_ms, False
        following = self._next()
        if following is not self._main:
            self._hand_to(following)
            self._main.gate.acquire()

    def stop(self) -> None:
        """End `run` as soon as the running actor pauses."""
        self._stopped = True

    def close(self) -> None:
        """End all actors where they stand."""
        self._closing = True
        for actor in self._actors:
            if actor.thread is not None and actor.thread.is_alive():
                actor.gate.release()
                actor.thread.join()

    def _push(self, delay_ms: float, what: Actor | Callable[[], object]) -> None:
        heappush(self._queue, (self.now_ms + delay_ms, self._ties.random(), next(self._serial), what))

    def _next(self) -> Actor:
        """Carry out what is due and return whose turn it is then."""
        while self._queue and not self._stopped and self.failure is None:
            if self._queue[0][0] > self._deadline_ms:
                self.now_ms = self._deadline_ms
                break
            self.now_ms, _, _, what = heappop(self._queue)
            if isinstance(what, Actor):
                return what
            self._call(what)
        return self._main

    def _call(self, what: Callable[[], object]) -> None:
        self._calling = True
        try:
            what()
        except Exception as error:  # noqa: BLE001 - it belongs to the run, not to the actor that happens to be here
            self.failure = error
        finally:
            self._calling = False

    def _hand_to(self, following: Actor) -> None:
        self._running = following
        following.gate.release()

    def _live(self, actor: Actor, body: Callable[[], None]) -> None:
        actor.gate.acquire()
        if self._closing:
            return
        try:
            body()
        except Ended:
            pass
        except Exception as error:  # noqa: BLE001 - reported by the run, with its schedule
            self.failure = error
        if not self._closing:
            self._hand_to(self._next())
