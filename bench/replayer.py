"""A replay in a process of its own, measured: `python -m bench.replayer SPEC` prints what it took as JSON."""

import sys
import time

import msgspec

from bench.domains import DOMAINS
from bench.meter import Measured, rss_peak_mib
from bench.worker import Spec
from processor.replay.fold import Build
from processor.replay.replaying import Step, replay_to
from processor.replay.sources import LogDecoder
from processor.replay.verifying import Verifier
from processor.replay.wiring import shard_sources
from processor.runtime.garbage import freeze_heap


def run(spec: Spec) -> Measured:
    """Fold everything and compare every commit; return what it took. Raises AssertionError for a difference."""
    known = DOMAINS[spec.job]
    catalogue = known.catalogue(spec.place.settings(spec.materialise))
    domain = known.domain(catalogue)
    understanding = LogDecoder(catalogue, domain.machine.entity_types)  # type: ignore[attr-defined]
    sources = shard_sources(spec.place.connection, spec.place.topics, understanding, shard=0)
    verifier = Verifier()
    first_s = 0.0

    def watch(step: Step) -> None:
        nonlocal first_s
        first_s = first_s or time.monotonic()
        verifier(step)

    freeze_heap()
    began_s, began_cpu_s, began_loop_s = time.monotonic(), time.process_time(), time.thread_time()
    build = Build(domain.machine, domain.decoder, domain.encoder)
    replayed = replay_to(sources, build, watch=watch)
    seconds = time.monotonic() - began_s
    loop_cpu_s = time.thread_time() - began_loop_s
    if not verifier.agrees:
        raise AssertionError(verifier.findings[:3])
    return Measured(
        events=replayed.events,
        commits=replayed.commits,
        seconds=seconds,
        first_commit_s=first_s,
        loop_cpu_s=loop_cpu_s,
        publisher_cpu_s=0.0,
        library_cpu_s=time.process_time() - began_cpu_s - loop_cpu_s,
        rss_mib=rss_peak_mib(),
        digest=replayed.head.digest,
        phase_s={},
    )


if __name__ == "__main__":
    print(msgspec.json.encode(run(msgspec.json.decode(sys.argv[1], type=Spec))).decode())
