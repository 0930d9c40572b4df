"""Row 7: what a processor recorded, folded again and compared commit by commit."""

from collections.abc import Iterator

from bench import processes
from bench.domains import DOMAINS
from bench.filling import fill
from bench.job import Job, encoded
from bench.meter import Measured
from bench.place import Servers, new_place
from bench.results import Figures, Row
from bench.worker import Spec
from processor.configuration.settings import Settings


def replay(servers: Servers, job: Job, *, runs: int) -> Iterator[Row]:
    """Let a processor record the job once, then fold it again and again."""
    known = DOMAINS[job.name]
    values = encoded(job, known.catalogue(Settings()), known.events)
    place = new_place(servers)
    fill(place, values)
    spec = Spec(job.name, place, events=len(values))
    recorded = processes.run("bench.worker", spec)
    figures = [_figures(_checked(processes.run("bench.replayer", spec), recorded, len(values))) for _ in range(runs)]
    yield Row(f"{job.name} job: replay --verify", {"events": len(values), "digests": "compared"}, figures)


def _checked(measured: Measured, recorded: Measured, events: int) -> Measured:
    if (measured.digest, measured.events) != (recorded.digest, events):
        raise AssertionError(f"folded {measured.events} events to {measured.digest}, not {events} to {recorded.digest}")
    return measured


def _figures(measured: Measured) -> Figures:
    cpu_s = measured.loop_cpu_s + measured.library_cpu_s
    return {
        "events/s": measured.events / measured.seconds,
        "events a second of CPU": measured.events / cpu_s,
        "CPU µs an event": cpu_s * 1e6 / measured.events,
        "– of them the fold": measured.loop_cpu_s * 1e6 / measured.events,
        "– the libraries' threads": measured.library_cpu_s * 1e6 / measured.events,
        "events a commit": measured.events / measured.commits,
        "RSS MiB": measured.rss_mib,
    }
