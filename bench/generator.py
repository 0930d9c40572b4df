"""Row 6: the state generator alone, nothing around it: rolling out anew a part of the models of a state."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from bench.cluster import Cluster, model_name
from bench.results import Figures, Row
from processor.cluster.events import Event
from processor.cluster.machine import ClusterMachine
from processor.runtime.garbage import freeze_heap

ROLLED_OUT_MAX = 1_000
BATCH = 500


def generator(sizes: Sequence[int], *, runs: int) -> Iterator[Row]:
    """Measure at each number of models."""
    for models in sizes:
        cluster = Cluster(models)
        cluster.roll_out_all("first")
        start, told = cluster.state, len(cluster.reduced)
        cluster.roll_out([model_name(number) for number in range(min(models, ROLLED_OUT_MAX))], "second")
        events = cluster.reduced[told:]
        freeze_heap()
        figures = [_folded(cluster.machine, start, events) for _ in range(runs)]
        yield Row("state generator alone", {"models": models, "events": len(events), "batch": BATCH}, figures)


def _folded(machine: ClusterMachine, start: Any, events: Sequence[Event]) -> Figures:
    """Return µs an event, whole and by type; the diff of each batch is part of the whole alone."""
    spent_s: defaultdict[str, float] = defaultdict(float)
    state, clock = start, time.perf_counter
    began_s = clock()
    for first in range(0, len(events), BATCH):
        before = state = machine.begin(state)
        for event in events[first : first + BATCH]:
            event_began_s = clock()
            state = machine.apply(state, event)
            spent_s[type(event).__name__] += clock() - event_began_s
        machine.diff(before, state)
    whole_s = clock() - began_s
    counts = Counter(type(event).__name__ for event in events)
    by_type = {f"{name} µs": spent_s[name] / count * 1e6 for name, count in sorted(counts.items())}
    return {"µs an event, diff included": whole_s / len(events) * 1e6, "events/s": len(events) / whole_s, **by_type}
