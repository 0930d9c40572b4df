"""Row 5: from the start of a process to its first commit, on a state of some size."""

import time
from collections.abc import Iterator, Sequence

from bench import processes
from bench.cluster import loading_job
from bench.domains import DOMAINS
from bench.filling import fill
from bench.job import Job, encoded
from bench.place import Servers, new_place
from bench.results import Row
from bench.worker import Spec
from processor.configuration.settings import Settings


def restart(servers: Servers, sizes: Sequence[int], *, runs: int) -> Iterator[Row]:
    """Fill a state through the processor, then start it again and again, one event waiting."""
    known = DOMAINS["cluster"]
    catalogue = known.catalogue(Settings())
    for models in sizes:
        place = new_place(servers)
        job = loading_job(models)
        values = encoded(job, catalogue, known.events)
        fill(place, values)
        processes.run("bench.worker", Spec("cluster", place, events=len(values)))
        figures = []
        for number in range(runs):
            name, data = job.events[-1]
            one = Job("cluster", ((name, {**data, "model": f"later-{number}"}),))
            fill(place, encoded(one, catalogue, known.events))
            began_s = time.monotonic()
            measured = processes.run("bench.worker", Spec("cluster", place, events=1))
            figures.append({"start to first commit s": measured.first_commit_s - began_s, "RSS MiB": measured.rss_mib})
        yield Row("restart after a clean stop", {"models": models}, figures)
