"""Prometheus metrics. All names, labels and helps of the processor's metrics are in this module.

A metric that counts what happened is made in `Metrics.__init__` and updated in `Metrics.observe`, from the report of a
step. A metric that shows how things are now is read on each scrape, in `_ScrapeCollector.collect`.
"""

from collections import Counter as Count
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from processor.engine.health import Health
from processor.engine.reports import StepReport, Tally, tally
from processor.service.age_histogram import AgeHistogram

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads

UNKNOWN_TYPE = "unknown"

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
AGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0)
EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

_Values = Mapping[tuple[str, ...], float]
"""Label values → value."""


class MetricSources(msgspec.Struct, frozen=True, kw_only=True):
    """What is read on each scrape. Every callable may be called from any thread.

    `lag` returns (topic, partition) → records, `entities` the number of entities by kind, `etcd_bytes` (in use, quota)
    or None, `etcd_denied` call → whether etcd denies it, `ticks_failed` the clock ticks that could not be written.
    """

    health: Callable[[], Sequence[Health]] = tuple
    lag: Callable[[], Mapping[tuple[str, int], int]] = dict
    entities: Callable[[Sequence[Any]], Mapping[str, int]] = lambda _states: {}
    etcd_bytes: Callable[[], tuple[int, int] | None] = lambda: None
    etcd_denied: Callable[[], Mapping[str, bool]] = dict
    ticks_failed: Callable[[], int] = int


class Metrics:
    """One registry; `observe` is middleware. `lanes` is topic → lane; types outside `known_types` share one label."""

    def __init__(
        self,
        *,
        lanes: Mapping[str, str],
        known_types: frozenset[str],
        version: str,
        sources: MetricSources | None = None,
    ) -> None:
        self._lanes = lanes
        self._known_types = known_types
        self.registry = registry = CollectorRegistry()
        self._events = Counter(
            "processor_events_total", "Events by outcome", ["topic", "type", "outcome"], registry=registry
        )
        self._batch = Histogram("processor_batch_events", "Events in a batch", buckets=EVENTS, registry=registry)
        self._step = Histogram(
            "processor_step_seconds", "Duration of a step's phases", ["phase"], buckets=SECONDS, registry=registry
        )
        self._conflicts = Counter(
            "processor_commit_conflicts_total", "Commits that found another head", registry=registry
        )
        self._ambiguous = Counter(
            "processor_commit_ambiguous_total", "Commits sent again because no answer came", registry=registry
        )
        self._announcements = Counter(
            "processor_announcements_total", "Announcements by type", ["type"], registry=registry
        )
        self._dead_letters = Counter(
            "processor_dead_letters_total", "Dead letters by code", ["code"], registry=registry
        )
        self._ages = AgeHistogram("processor_event_age_seconds", "Age of events when committed", AGE_SECONDS)
        registry.register(self._ages)
        self._guard = Counter(
            "processor_lane_guard_total", "Batches in which the starvation guard acted", registry=registry
        )
        Gauge("processor_build_info", "Version", ["version"], registry=registry).labels(version).set(1)
        registry.register(_ScrapeCollector(sources or MetricSources()))

    def observe(self, report: StepReport) -> None:
        """Count one step."""
        counted = tally(report.events)
        for (topic, event_type, outcome), count in counted.outcomes.items():
            self._events.labels(topic, self._type(event_type), outcome).inc(count)
        if any(outcome == "dead_lettered" for _, _, outcome in counted.outcomes):
            self._count_dead_letters(report)
        if report.events:
            self._batch.observe(len(report.events))
        for phase, seconds in report.seconds.items():
            self._step.labels(phase).observe(seconds)
        self._conflicts.inc(report.conflicts)
        self._ambiguous.inc(report.resends)
        self._guard.inc(report.guard)
        for type_name, count in Count(report.announcement_types).items():
            self._announcements.labels(type_name).inc(count)
        self._observe_ages(counted, report.committed_ms)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _observe_ages(self, counted: Tally, committed_ms: int) -> None:
        for topic, times in counted.times.items():
            ages: Count[int] = Count()
            for at_ms, count in times.items():
                if at_ms >= 0:
                    ages[max(0, committed_ms - at_ms)] += count
            if ages:
                self._ages.add(self._lanes.get(topic, UNKNOWN_TYPE), ages)

    def _count_dead_letters(self, report: StepReport) -> None:
        for code, count in Count(event.code for event in report.events if event.outcome == "dead_lettered").items():
            self._dead_letters.labels(code).inc(count)

    def _type(self, event_type: str) -> str:
        return event_type if event_type in self._known_types else UNKNOWN_TYPE


class _ScrapeCollector(Collector):
    def __init__(self, sources: MetricSources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        shards = self._sources.health()
        yield from self._shards(shards)
        yield self._labelled(
            "processor_input_lag",
            "Records not consumed yet",
            ("topic", "partition"),
            {(topic, str(partition)): lag for (topic, partition), lag in self._sources.lag().items()},
        )
        yield self._labelled(
            "processor_state_entities",
            "Entities in the state",
            ("kind",),
            {(kind,): count for kind, count in self._sources.entities(_states(shards)).items()},
        )
        yield self._labelled(
            "processor_etcd_denied",
            "Whether etcd denies a call that the processor can do without",
            ("call",),
            {(call,): int(denied) for call, denied in self._sources.etcd_denied().items()},
        )
        failed = CounterMetricFamily("processor_clock_ticks_failed_total", "Ticks that could not be written")
        failed.add_metric((), self._sources.ticks_failed())
        yield failed
        if (sizes := self._sources.etcd_bytes()) is not None:
            yield GaugeMetricFamily("processor_etcd_database_bytes", "Bytes in use in etcd's database", sizes[0])
            yield GaugeMetricFamily("processor_etcd_quota_bytes", "etcd's quota", sizes[1])

    def _shards(self, shards: Sequence[Health]) -> Iterator[GaugeMetricFamily]:
        owned: _Values = {(str(health.shard),): int(health.phase == "owner") for health in shards}
        yield self._labelled("processor_shard_owned", "Whether this process owns the shard", ("shard",), owned)
        seqs: _Values = {(str(health.shard),): health.seq for health in shards if health.phase == "owner"}
        yield self._labelled("processor_state_seq", "Last committed seq", ("shard",), seqs)
        yield self._labelled(
            "processor_output_fencings",
            "Times that another producer of our transactional id fenced the owner since it took the shard",
            ("shard",),
            {(str(health.shard),): health.fencings for health in shards},
        )
        waiting = sum(health.outbox_commits for health in shards)
        yield GaugeMetricFamily("processor_outbox_commits", "Commits not published yet", waiting)

    @staticmethod
    def _labelled(name: str, text: str, labels: tuple[str, ...], values: _Values) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=labels)
        for key, value in values.items():
            family.add_metric(key, value)
        return family


def _states(shards: Sequence[Health]) -> list[Any]:
    return [health.state for health in shards if health.state is not None]
