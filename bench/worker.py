"""A processor in a process of its own, measured: `python -m bench.worker SPEC` prints what it took as JSON."""

import sys
import threading
from collections.abc import Sequence

import msgspec

from bench.domains import DOMAINS
from bench.meter import Measured, Meter
from bench.place import Materialise, Place
from processor.assembly.backends import Ports, ServerBackend
from processor.engine.announcements import OutputRecord, Role, Tail
from processor.engine.inputs import HIGH, NORMAL
from processor.engine.ports import Sink
from processor.runtime.clock import SystemClock
from processor.runtime.logs import set_up
from processor.runtime.signals import stopped_by_signals
from processor.service.metrics import Metrics
from processor.service.process import log_step
from processor.service.shards import ShardService


class Spec(msgspec.Struct, frozen=True):
    """What to run. It ends when so many events are committed and published, with 0 when it is asked to."""

    job: str
    place: Place
    materialise: Materialise = "auto"
    events: int = 0


class ShardRefusedError(Exception):
    """The processor refused to go on; the message says why."""


def run(spec: Spec) -> Measured:
    """Process until done; return what it took."""
    set_up("json", "info")
    stop = threading.Event()
    meter = Meter(spec.events, stop)
    refusals: list[object] = []

    def log(event: str, **fields: object) -> None:
        print(event, fields, file=sys.stderr)
        if event == "shard_refused":
            refusals.append(fields["reason"])
            stop.set()

    settings = spec.place.settings(spec.materialise)
    known = DOMAINS[spec.job]
    domain = known.domain(known.catalogue(settings))
    backend = MeteredBackend(ServerBackend(settings, spec.place.topics, SystemClock(stop)), meter)
    with stopped_by_signals(stop):
        middleware = (_metrics(spec).observe, log_step, meter.observe)
        ShardService(settings, backend, domain, stop=stop, middleware=middleware, log=log).run()
    if refusals:
        raise ShardRefusedError(str(refusals[0]))
    return meter.measured()


def _metrics(spec: Spec) -> Metrics:
    """Return the metrics that every processor has."""
    lanes = {spec.place.topics[lane]: lane for lane in (HIGH, NORMAL)}
    return Metrics(lanes=lanes, known_types=DOMAINS[spec.job].event_types, version="bench")


class MeteredBackend:
    """The servers' ports, the sink measured."""

    def __init__(self, backend: ServerBackend, meter: Meter) -> None:
        self._meter = meter
        self._backend = backend
        self.start = backend.start
        self.membership = backend.membership
        self.ticker = backend.ticker
        self.pressure = backend.pressure
        self.silent_s = backend.silent_s
        self.close = backend.close
        self.give_up = backend.give_up

    def ports(self, shard: int) -> Ports:
        """Return the ports of a shard."""
        ports = self._backend.ports(shard)
        return msgspec.structs.replace(ports, sink=MeteredSink(ports.sink, self._meter))


class MeteredSink:
    """Tells the meter when a transaction ended; all else is the sink's."""

    def __init__(self, sink: Sink, meter: Meter) -> None:
        self._sink = sink
        self._meter = meter

    def record_bytes_max(self) -> int:
        """As the sink."""
        return self._sink.record_bytes_max()

    def open(self) -> None:
        """As the sink."""
        self._sink.open()

    def publish(self, records: Sequence[OutputRecord]) -> None:
        """As the sink, measured."""
        self._meter.publishing()
        self._sink.publish(records)
        self._meter.published()

    def tails(self) -> dict[Role, Tail]:
        """As the sink."""
        return self._sink.tails()

    def close(self) -> None:
        """As the sink."""
        self._sink.close()


if __name__ == "__main__":
    print(msgspec.json.encode(run(msgspec.json.decode(sys.argv[1], type=Spec))).decode())
