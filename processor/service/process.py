"""The processor as one process: its shards, metrics and HTTP server, run until a signal sets `stop`."""

import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any

import msgspec
import structlog

from processor.assembly.backends import Backend, EmbeddedBackend, ServerBackend
from processor.assembly.engine import Domain, cluster_domain
from processor.avro.catalogue import Catalogue
from processor.cluster.document import to_document
from processor.cluster.events import EVENT_TYPES
from processor.cluster.kinds import SECTIONS
from processor.configuration import kafka_security
from processor.configuration.settings import Settings
from processor.configuration.topics import topic_names
from processor.engine.health import Health
from processor.engine.reports import Middleware, StepReport, outcomes_of
from processor.replay.snapshot_writer import snapshots_kept
from processor.runtime.failpoints import armed
from processor.runtime.logs import error_function, log_function, warning_function
from processor.runtime.shutdown import ended_in_time
from processor.service.api import ApiSources, respond
from processor.service.metrics import Metrics, MetricSources
from processor.service.server import HttpServer
from processor.service.shards import ShardService, shutdown_clock


class ServiceProcess:
    """Builds all parts of one process from the settings; `run` blocks until `stop` is set.

    `once`: process what waits in the inputs, then end. `middleware` receives the report of every step.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        embedded: bool = False,
        once: bool = False,
        middleware: tuple[Middleware, ...] = (),
        stop: threading.Event | None = None,
    ) -> None:
        self.settings = settings
        self.stop = stop or threading.Event()
        self._once = once
        self.topics = topic_names(settings)
        self.clock = shutdown_clock(settings, self.stop)
        self.catalogue = Catalogue.load(settings.schemas_dir)
        self.domain: Domain = cluster_domain(settings, self.catalogue)
        failpoint = armed(settings.failpoints, warning_function())
        self.backend: Backend = (
            EmbeddedBackend(settings, self.topics, failpoint)
            if embedded
            else ServerBackend(settings, self.topics, self.clock, failpoint)
        )
        self.metrics = self._metrics()
        self.service = ShardService(
            settings,
            self.backend,
            self.domain,
            stop=self.stop,
            middleware=(self.metrics.observe, log_step, *middleware),
            log=log_function(),
            once=once,
            failpoint=failpoint,
        )

    def run(self) -> int:
        """Process until stopped. Return 1 if `once` is set and a shard was refused or not reached, else 0."""
        log = log_function()
        log("started", **self._facts())
        address = self.settings.http.address
        sources, warn = self.api_sources(), warning_function()
        for weakness in kafka_security.weaknesses(self.settings.kafka.properties()):
            warn("kafka_security_weak", what=weakness)
        server = HttpServer(address, lambda target: respond(sources, target), warn) if address else None
        if server is not None:
            log("http_listening", url=server.url)
        try:
            with snapshots_kept(self.settings, self._owned, log, embedded=isinstance(self.backend, EmbeddedBackend)):
                self.service.run()
        finally:
            if server is not None:
                server.close()
        log("stopped", app=self.settings.app, instance=self.settings.instance)
        undone = [health for health in self._health() if health.reason]
        return 1 if self._once and undone else 0

    def _facts(self) -> dict[str, Any]:
        """Return the fields of the first log line: build, instance, clusters, servers."""
        settings, backend = self.settings, self.backend
        embedded = backend if isinstance(backend, EmbeddedBackend) else None
        servers = embedded.kafka.bootstrap_servers if embedded else settings.kafka.bootstrap_servers
        return {
            "version": version("processor"),
            "reducer_version": self.domain.machine.version,
            "app": settings.app,
            "instance": settings.instance,
            "clusters": list(settings.clusters),
            "kafka": [address.rpartition("@")[2] for address in servers.split(",")],
            "etcd": "embedded" if embedded else [address.rpartition("@")[2] for address in settings.etcd.endpoints],
        }

    def ended_in_time(self) -> AbstractContextManager[None]:
        """Return a context that ends the process within `shutdown_timeout_s` of `stop`, with exit code 1 if it must."""
        return ended_in_time(
            self.stop,
            timeout_s=self.settings.shutdown_timeout_s,
            give_up=self.backend.give_up,
            log=error_function(),
        )

    def api_sources(self) -> ApiSources:
        """Return what the HTTP API reads."""
        return ApiSources(
            app=self.settings.app,
            instance=self.settings.instance,
            clusters=self.settings.clusters,
            health=self._health,
            document=to_document,
            owner=self.service.owner_of,
            metrics=self.metrics.exposition,
            now_s=self.clock.monotonic_s,
            now_ms=self.clock.now_ms,
        )

    def _owned(self) -> dict[int, int]:
        return {health.shard: health.seq for health in self._health() if health.phase == "owner"}

    def _health(self) -> tuple[Health, ...]:
        return tuple(status.health for status in self.service.statuses)

    def _metrics(self) -> Metrics:
        sources = MetricSources(health=self._health, lag=self._lag, entities=entity_counts)
        if isinstance(self.backend, ServerBackend):
            etcd = {"etcd_bytes": self.backend.database_bytes, "etcd_denied": self.backend.etcd_denied}
            sources = msgspec.structs.replace(sources, **etcd, ticks_failed=self.backend.ticks_failed)
        return Metrics(
            lanes={self.topics["high"]: "high", self.topics["normal"]: "normal"},
            known_types=frozenset(EVENT_TYPES),
            version=version("processor"),
            sources=sources,
        )

    def _lag(self) -> Mapping[tuple[str, int], int]:
        return self.service.lag()


def entity_counts(states: Iterable[Any]) -> dict[str, int]:
    """Return kind → number of entities in all these states."""
    counts = dict.fromkeys(SECTIONS, 0)
    for state in states:
        for kind, section in SECTIONS.items():
            counts[kind] += 1 if kind == "policy" else len(getattr(state, section))
    return counts


def log_step(report: StepReport) -> None:
    """Log one commit at level debug, and each of its dead letters at warning."""
    logger = structlog.get_logger()
    logger.debug(
        "committed",
        shard=report.shard,
        seq=report.seq,
        kind=report.kind,
        events=len(report.events),
        changes=len(report.changes),
        high=report.high,
        guard=report.guard,
    )
    if "dead_lettered" in outcomes_of(report.events):
        _warn_of_dead_letters(report, logger)


def _warn_of_dead_letters(report: StepReport, logger: Any) -> None:
    for event in report.events:
        if event.outcome == "dead_lettered":
            cause = event.cause
            place = f"{cause.topic}[{cause.partition}]@{cause.offset}"
            logger.warning("dead_letter", shard=report.shard, record=place, code=event.code, reason=event.message)
