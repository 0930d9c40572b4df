"""What a processor takes, seen from inside its process."""

import threading
import time
from collections import Counter
from pathlib import Path

import msgspec

from processor.engine.reports import StepReport


class Measured(msgspec.Struct, frozen=True):
    """From the first commit, whose events do not count, to the last record published.

    `first_commit_s` is a monotonic time. `phase_s` is wall time in the loop's thread; the rest is CPU: of the loop's
    thread, of the publisher's, and of the threads of the libraries.
    """

    events: int
    commits: int
    seconds: float
    first_commit_s: float
    loop_cpu_s: float
    publisher_cpu_s: float
    library_cpu_s: float
    rss_mib: float
    digest: str
    phase_s: dict[str, float]


class Meter:
    """Collects; asks the service to stop after the last of `events`, with 0 never."""

    def __init__(self, events: int, stop: threading.Event) -> None:
        self._wanted = events
        self._stop = stop
        self._seen = 0
        self._events = 0
        self._commits = 0
        self._digest = ""
        self._phase_s: Counter[str] = Counter()
        self._began_s = self._began_cpu_s = self._began_loop_s = 0.0
        self._loop_s = self._ended_s = self._ended_cpu_s = 0.0
        self._publishers: dict[int, tuple[float, float]] = {}
        self._loop = 0

    def observe(self, report: StepReport) -> None:
        """Note a commit, in the loop's thread."""
        count = len(report.events)
        self._seen += count
        self._digest = report.digest
        self._loop_s = time.thread_time()
        if self._began_s:
            self._events += count
            self._commits += 1
            self._phase_s.update(report.seconds)
        else:
            self._began_s, self._began_cpu_s, self._began_loop_s = time.monotonic(), time.process_time(), self._loop_s
            self._loop = threading.get_ident()
        if self._wanted and self._seen >= self._wanted:
            self._stop.set()

    def publishing(self) -> None:
        """Note that an output transaction begins, in the thread that makes it."""
        self._publishers.setdefault(threading.get_ident(), (time.thread_time(), 0.0))

    def published(self) -> None:
        """Note that it ended."""
        self._ended_s, self._ended_cpu_s = time.monotonic(), time.process_time()
        thread = threading.get_ident()
        self._publishers[thread] = self._publishers[thread][0], time.thread_time()

    def measured(self) -> Measured:
        """Return everything."""
        loop_s = self._loop_s - self._began_loop_s
        publisher_s = sum(last - first for thread, (first, last) in self._publishers.items() if thread != self._loop)
        return Measured(
            events=self._events,
            commits=self._commits,
            seconds=self._ended_s - self._began_s,
            first_commit_s=self._began_s,
            loop_cpu_s=loop_s,
            publisher_cpu_s=publisher_s,
            library_cpu_s=self._ended_cpu_s - self._began_cpu_s - loop_s - publisher_s,
            rss_mib=rss_peak_mib(),
            digest=self._digest,
            phase_s=dict(self._phase_s),
        )


def rss_peak_mib() -> float:
    """Return the most memory that this process had resident; getrusage would tell its parent's, too."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
