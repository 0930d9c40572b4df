"""`processor dev`: the processor, the play and its feed in one process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from time import monotonic

from processor.client.codec import EventEncoder, announcement_reader, event_producer
from processor.demo.acts import ACTS, Acts
from processor.demo.client import KafkaAnnouncements, KafkaEventSender
from processor.demo.feed import Feed
from processor.demo.stage import Stage
from processor.demo.totals import Totals
from processor.demo.vacancy import LEASE_MARGIN_S
from processor.engine.errors import OwnershipLost, ProcessorError, Retry, ShardRefused
from processor.engine.reports import StepReport
from processor.kafka.connection import KafkaConnection
from processor.service.process import ServiceProcess

START_TIMEOUT_S = 60.0
SETTLE_TIMEOUT_S = 10.0
HURRIED_SETTLE_TIMEOUT_S = 3.0
"""Settle time after a request to stop, out of the shutdown time."""
LOOK_INTERVAL_S = 0.05


class Show:
    """Runs the service in one thread and, with `play`, the actors in another; the caller's thread prints the feed.

    `connection` is that of the clients, `write` receives the lines of the feed.
    """

    def __init__(
        self,
        process: ServiceProcess,
        reports: "SimpleQueue[StepReport]",
        connection: KafkaConnection,
        *,
        write: Callable[[str], None],
        colours: bool,
    ) -> None:
        self._process = process
        self._reports = reports
        self._connection = connection
        self._write = write
        self._colours = colours
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self.totals = Totals()
        self.acts = Acts()
        self.heard = 0

    def watch(self, ending: threading.Event, *, for_s: float | None) -> None:
        """Run without a play until `ending` is set or the time is up. Raises the error that ended the service."""
        with self._service():
            feed = self._feed(lambda _: "")
            self._follow(feed, lambda _: None, ending, _deadline(for_s))
            self._stop()
            self._tell(feed, lambda _: None)

    def play(self, ending: threading.Event, *, for_s: float | None, seed: int) -> None:
        """Play until `ending` is set or the time is up, then let the processor finish. Raises like `watch`."""
        with self._service():
            if self._await_owner(ending):
                self._play(ending, for_s, seed)

    def give_up(self) -> None:
        """Release the shards at once, whatever the processor waits for. Safe from any thread."""
        self._process.backend.give_up()

    def _play(self, ending: threading.Event, for_s: float | None, seed: int) -> None:
        process, self.acts = self._process, Acts(ACTS)
        changes = process.topics["changes"]
        reader = announcement_reader(self._connection, changes, process.catalogue, from_="end", gaps="tell")
        producer = event_producer(
            self._connection,
            process.topics,
            EventEncoder(process.catalogue, checked=False),
            clusters=process.settings.clusters,
            cluster=process.settings.clusters[0],
        )
        announcements = KafkaAnnouncements(reader)
        stage = Stage(
            announcements, KafkaEventSender(producer, process.topics["normal"]), now_ms=process.clock.now_ms, seed=seed
        )
        feed = self._feed(lambda event_id: stage.subjects.pop(event_id, ""))
        curtain = threading.Event()
        actors = threading.Thread(target=self._guarded, args=(lambda: stage.play(curtain.is_set),), name="stage")
        actors.start()
        count = _counter(stage)
        try:
            self._follow(feed, count, ending, _deadline(for_s))
            curtain.set()
            actors.join()
            producer.flush()
            settle_s = HURRIED_SETTLE_TIMEOUT_S if ending.is_set() else SETTLE_TIMEOUT_S
            self._follow(feed, count, threading.Event(), monotonic() + settle_s, until=lambda: stage.tally.lag <= 0)
        finally:
            curtain.set()
            actors.join()
            self.heard = announcements.heard
            producer.close()
            reader.close()
            self._stop()
            self._tell(feed, count)

    def _follow(
        self,
        feed: Feed,
        count: Callable[[StepReport], None],
        ending: threading.Event,
        deadline_s: float,
        *,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        while not (ending.is_set() or self._ended.is_set() or until()) and monotonic() < deadline_s:
            self._tell(feed, count, wait_s=LOOK_INTERVAL_S)

    def _tell(self, feed: Feed, count: Callable[[StepReport], None], *, wait_s: float = 0.0) -> None:
        for report in _drained(self._reports, wait_s):
            count(report)
            self.totals = self.totals.after(report)
            self.acts, highlights = self.acts.after(report.changes, report.seq)
            for line in (*feed.lines(report), *map(feed.highlight, highlights)):
                self._write(line)

    def _feed(self, subject: Callable[[str], str]) -> Feed:
        topics = self._process.topics
        return Feed(subject, {topics["high"]: "high", topics["normal"]: "normal"}, colours=self._colours)

    @contextmanager
    def _service(self) -> Iterator[None]:
        thread = threading.Thread(target=self._guarded, args=(self._process.run,), name="service")
        thread.start()
        self._thread = thread
        try:
            yield
        finally:
            self._stop()
        if self._failure is not None:
            raise self._failure

    def _stop(self) -> None:
        self._process.stop.set()
        self._thread.join()

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (ProcessorError, KeyboardInterrupt) as error:
            self._failure = error
        finally:
            self._ended.set()

    def _await_owner(self, ending: threading.Event) -> bool:
        """Wait for the shard; False if stopped before. Raises ShardRefused, OwnershipLost, Retry (timeout)."""
        service, deadline_s = self._process.service, monotonic() + START_TIMEOUT_S
        patience_s = self._process.settings.shards.lease_ttl_s + LEASE_MARGIN_S
        alone_s = monotonic()
        while not ending.is_set() and not self._ended.is_set():
            health, owner = service.statuses[0].health, service.owner_of(0)
            if health.phase == "owner":
                return True
            if health.phase == "refused":
                raise ShardRefused(f"shard 0 is refused: {health.reason}")
            if not owner or owner == self._process.settings.instance:
                alone_s = monotonic()
            elif monotonic() > alone_s + patience_s:
                raise OwnershipLost(f"shard 0 was taken by {owner} meanwhile")
            if monotonic() > deadline_s:
                raise Retry(f"shard 0 was not taken within {START_TIMEOUT_S:.0f} s: {health.why or health.phase}")
            ending.wait(LOOK_INTERVAL_S)
        return False


def _deadline(for_s: float | None) -> float:
    return float("inf") if for_s is None else monotonic() + for_s


def _counter(stage: Stage) -> Callable[[StepReport], None]:
    """Return a function that counts the stage's own records in a report."""

    def count(report: StepReport) -> None:
        stage.tally.reduced += sum(event.cause.event_id.startswith("demo-") for event in report.events)

    return count


def _drained(reports: "SimpleQueue[StepReport]", wait_s: float) -> Iterator[StepReport]:
    try:
        yield reports.get(timeout=wait_s) if wait_s else reports.get_nowait()
        while True:
            yield reports.get_nowait()
    except Empty:
        return
