"""A Prometheus histogram that takes a whole batch at once: one lock a batch and one bucket look-up a distinct age."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class AgeHistogram(Collector):
    """Ages in seconds by lane; `bounds_s` are the upper bounds of the buckets, ascending."""

    def __init__(self, name: str, text: str, bounds_s: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._bounds_s = tuple(bounds_s)
        self._counts: dict[str, list[int]] = {}
        self._sums_s: dict[str, float] = {}
        self._lock = Lock()

    def add(self, lane: str, ages_ms: Mapping[int, int]) -> None:
        """Add ages: age in ms → number of events."""
        with self._lock:
            counts = self._counts.setdefault(lane, [0] * (len(self._bounds_s) + 1))
            for age_ms, count in ages_ms.items():
                counts[bisect_left(self._bounds_s, age_ms / 1000)] += count
            total_ms = sum(age_ms * count for age_ms, count in ages_ms.items())
            self._sums_s[lane] = self._sums_s.get(lane, 0.0) + total_ms / 1000

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the current histogram."""
        family = HistogramMetricFamily(self._name, self._text, labels=("lane",))
        with self._lock:
            for lane, counts in self._counts.items():
                family.add_metric((lane,), self._buckets(counts), self._sums_s[lane])
        yield family

    def _buckets(self, counts: Sequence[int]) -> list[tuple[str, float]]:
        names = [*map(floatToGoString, self._bounds_s), "+Inf"]
        below = 0
        buckets: list[tuple[str, float]] = []
        for name, count in zip(names, counts, strict=True):
            below += count
            buckets.append((name, below))
        return buckets
