"""The shards of this process: threads, parts and shared stop.

Every shard of the settings has a thread here, whether or not it is owned here: its `ShardRunner` campaigns, stands by
or processes. One more thread runs the `Rebalancer`, which decides the shards that this process campaigns for.

Invariants: only a shard's own thread touches its ports and parts; other threads read `statuses`, `lag` and `owner_of`,
each of which returns one consistent value. An exception that escapes any of the threads sets `stop`, so that the other
shards hand over, and is raised again by `run`. The ports of a shard are closed by its thread, the backend by `run`.
"""

import threading
from collections.abc import Callable, Mapping
from functools import partial

from processor.assembly.backends import Backend, Ports
from processor.assembly.engine import Domain, engine_limits
from processor.configuration.settings import Settings
from processor.engine.errors import Retry
from processor.engine.failpoints import Failpoint, never
from processor.engine.health import ShardStatus
from processor.engine.parts import Callbacks, Parts
from processor.engine.ports import Ticker
from processor.engine.rebalancer import Rebalancer
from processor.engine.reports import Middleware
from processor.engine.shard import ShardRunner
from processor.engine.values import Identity
from processor.runtime.clock import SystemClock
from processor.runtime.garbage import freeze_heap

END_WITHIN_SHARE = 0.6
"""Part of `shutdown_timeout_s` for an orderly hand-over; calls that begin later get the shortest timeouts."""


def shutdown_clock(settings: Settings, stop: threading.Event) -> SystemClock:
    """Return a clock that counts down the time for an orderly hand-over once `stop` is set."""
    return SystemClock(stop, end_within_s=END_WITHIN_SHARE * settings.shutdown_timeout_s)


class ShardService:
    """Runs the shards of the settings that this process owns, on one backend, until `stop` is set.

    `statuses` holds one status a shard, state included; safe from any thread.
    """

    def __init__(  # noqa: PLR0913 - assembly is where everything comes together
        self,
        settings: Settings,
        backend: Backend,
        domain: Domain,
        *,
        stop: threading.Event,
        middleware: tuple[Middleware, ...] = (),
        log: Callable[..., None] = lambda _event, **_fields: None,
        once: bool = False,
        failpoint: Failpoint = never,
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._domain = domain
        self._stop = stop
        self._clock = shutdown_clock(settings, stop)
        self._middleware = middleware
        self._log = log
        self._once = once
        self._failpoint = failpoint
        self._failures: list[BaseException] = []
        self._owner_of: Callable[[int], str] = lambda _shard: ""
        self._lags: dict[int, Callable[[], Mapping[tuple[str, int], int]]] = {}
        self.statuses = tuple(ShardStatus(shard, log) for shard in range(len(settings.clusters)))

    def run(self) -> None:
        """Process until stopped, then hand over all shards.

        Raises InvalidRequest for settings that cannot work, and what escaped a thread (a bug) after the hand-over.
        """
        try:
            self._start_backend()
            self._run_shards()
        finally:
            self._stop.set()  # starts the clock of the shutdown, whatever ended the shards
            self._backend.close()
        for failure in self._failures:
            raise failure

    def lag(self) -> dict[tuple[str, int], int]:
        """Return (topic, partition) → waiting records, of the shards owned here. Safe from any thread."""
        return {place: count for lag in list(self._lags.values()) for place, count in lag().items()}

    def owner_of(self, shard: int) -> str:
        """Return the other instance last seen to own the shard, empty if none. Safe from any thread."""
        return self._owner_of(shard)

    def _start_backend(self) -> None:
        limits = engine_limits(self._settings)
        pause_ms = limits.retry_pause_ms
        for status in self.statuses:
            status.update(moved_s=self._clock.monotonic_s())
        while not self._stop.is_set():
            try:
                self._backend.start()
            except Retry as error:
                for status in self.statuses:
                    status.update(reason=str(error), moved_s=self._clock.monotonic_s())
                self._clock.sleep(pause_ms / 1000)
                pause_ms = min(2 * pause_ms, limits.retry_pause_max_ms)
            else:
                for status in self.statuses:
                    status.update(reason="")
                break

    def _run_shards(self) -> None:
        rebalancer, ended = self._rebalancer(), threading.Event()
        self._owner_of = rebalancer.owner_of
        shards = [
            self._thread(f"shard-{status.health.shard}", partial(self._run_shard, status, rebalancer))
            for status in self.statuses
        ]
        looking = self._thread("sharing", partial(rebalancer.run, lambda: self._stop.is_set() or ended.is_set()))
        for thread in shards:
            thread.join()
        ended.set()
        looking.join()

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as failure:  # noqa: BLE001 - `run` raises it again
                self._failures.append(failure)
                self._stop.set()

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _rebalancer(self) -> Rebalancer:
        limits = engine_limits(self._settings)
        membership = self._backend.membership()
        return Rebalancer(
            membership,
            instance=membership.instance,
            shards=len(self.statuses),
            ttl_s=self._settings.shards.lease_ttl_s,
            interval_s=limits.standby_interval_ms / 1000,
            clock=self._clock,
            excluded=lambda: frozenset(
                status.health.shard for status in self.statuses if status.health.phase in {"refused", "stopped"}
            ),
            silent_s=self._backend.silent_s,
            silent_max_s=limits.silent_max_ms / 1000,
            log=self._log,
        )

    def _run_shard(self, status: ShardStatus, rebalancer: Rebalancer) -> None:
        shard = status.health.shard
        ports = self._backend.ports(shard)
        self._lags[shard] = ports.lag
        try:
            ShardRunner(
                self._parts(shard, ports),
                status=status,
                stopping=self._stop.is_set,
                may_campaign=partial(rebalancer.may_campaign, shard),
                hand_over_asked=partial(rebalancer.hand_over_asked, shard),
                leave_to_peers=partial(rebalancer.leave_to_peers, shard),
                once=self._once,
            ).run()
        finally:
            ports.source.close()
            ports.sink.close()

    def _ticker(self, shard: int, cluster: str) -> Ticker | None:
        tick = self._domain.tick
        if tick is None or not self._settings.clock.enabled:
            return None
        return self._backend.ticker(shard, key=cluster.encode(), value=tick[0], headers=tick[1])

    def _parts(self, shard: int, ports: Ports) -> Parts:
        settings, cluster = self._settings, self._settings.clusters[shard]
        return Parts(
            machine=self._domain.machine,
            decoder=self._domain.decoder,
            encoder=self._domain.encoder,
            store=ports.store,
            source=ports.source,
            sink=ports.sink,
            ownership=ports.ownership,
            clock=self._clock,
            identity=Identity(settings.app, shard, cluster, self._domain.machine.version),
            limits=engine_limits(settings),
            ticker=self._ticker(shard, cluster),
            start=settings.start,
            cluster_key=cluster.encode() if len(settings.clusters) > 1 else None,
            speculate=True,
            announce_in_background=True,
            callbacks=Callbacks(
                middleware=self._middleware,
                log=self._log,
                loaded=freeze_heap,
                pressure=self._backend.pressure,
                trouble=ports.trouble,
                left_s=self._clock.left_s,
                failpoint=self._failpoint,
            ),
        )
