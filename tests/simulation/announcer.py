"""The publisher's own thread, as an actor that runs when it holds the baton."""

from collections.abc import Callable

from processor.engine.announcing import BackgroundAnnouncer
from processor.engine.errors import ProcessorError
from processor.engine.parts import Parts
from processor.engine.publisher import Publisher
from tests.simulation.process import Process
from tests.simulation.scheduler import Ended

LOOK_INTERVAL_MS = 15.0


class SimulatedAnnouncer(BackgroundAnnouncer):
    """Pumps when something waits. What ends the actor, short of the death of the process, is raised in the loop."""

    def __init__(self, process: Process, parts: Parts, publisher: Publisher) -> None:
        super().__init__(parts, publisher)
        self._process = process
        self._running = False

    def start(self) -> None:
        """Begin the actor."""
        self._running = True
        self._process.stage.scheduler.spawn(f"{self._process.name}'s publisher", self._run)

    def stop(self, moved: Callable[[], None] = lambda: None) -> bool:
        """End the actor after the transaction under way."""
        del moved
        self._stopped.set()
        while self._running:
            self._process.pause(LOOK_INTERVAL_MS)
        return True

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                idle = not self._publisher.waiting[0]
                self._process.pause(LOOK_INTERVAL_MS if idle else 1000 * self._pump())
        except (ProcessorError, Ended) as error:
            self._failure = error
            if self._process.dead:
                raise
        finally:
            self._running = False
