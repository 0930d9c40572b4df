"""Rows 1 and 2: a job through the processor, beside the raw loop in the same run, its outputs checked."""

from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from bench import processes
from bench.domains import DOMAINS
from bench.filling import fill
from bench.job import Expected, Job, encoded, expected
from bench.meter import Measured
from bench.place import Materialise, Place, Servers, new_place
from bench.results import Figures, Row
from bench.worker import Spec
from processor.avro.catalogue import Catalogue
from processor.avro.records import RecordCodec
from processor.configuration.settings import Settings
from processor.engine.outputs import PROCESSOR_NUMBER

MODES: tuple[Materialise, ...] = ("auto", "eager")
READ_BATCH = 1_000
READ_TIMEOUT_S = 30.0


def throughput(servers: Servers, job: Job, *, runs: int) -> Iterator[Row]:
    """Measure the raw loop and the processor in both modes, one after another in each run."""
    known = DOMAINS[job.name]
    catalogue = known.catalogue(Settings())
    values = encoded(job, catalogue, known.events)
    reference = expected(values, known.domain(catalogue), catalogue)
    raw: list[Figures] = []
    ours: dict[Materialise, list[Figures]] = {mode: [] for mode in MODES}
    for _ in range(runs):
        place = new_place(servers)
        fill(place, values)
        yardstick = processes.run("bench.raw", Spec(job.name, place, events=len(values)))
        raw.append(_raw_figures(yardstick))
        for mode in MODES:
            place = new_place(servers)
            fill(place, values)
            measured = processes.run("bench.worker", Spec(job.name, place, mode, len(values)))
            check(place, measured.digest, reference, catalogue)
            ours[mode].append(_figures(measured, yardstick))
    settings = {"events": len(values), "value bytes": round(sum(map(len, values)) / len(values))}
    yield Row(f"{job.name} job: raw confluent-kafka loop, nothing kept", settings, raw)
    for mode in MODES:
        yield Row(f"{job.name} job: processor", {**settings, "materialise": mode, "outputs": "checked"}, ours[mode])


def check(place: Place, digest: str, reference: Expected, catalogue: Catalogue) -> None:
    """Compare with the reference fold: the digest, and what the announcements of each entity end with."""
    if digest != reference.digest:
        raise AssertionError(f"{place.name}: digest {digest}, the reference has {reference.digest}")
    codec = RecordCodec(catalogue)
    last: dict[str, bytes] = {}
    for number, (key, value, stated) in enumerate(_announced(place)):
        if stated != number:
            raise AssertionError(f"{place.name}: announcement {stated} stands where {number} should")
        last[key] = value
    for key, value in last.items():
        after = codec.decode_record(value)[1]["after"]
        if after != reference.entities.get(key):
            raise AssertionError(f"{place.name}: {key} was announced as {after}, it is {reference.entities.get(key)}")
    if missing := reference.entities.keys() - last.keys() - {"policy/cluster"}:
        raise AssertionError(f"{place.name}: never announced: {sorted(missing)[:5]}")


def _announced(place: Place) -> Iterator[tuple[str, bytes, int]]:
    """Yield key, value and number of every change that a read_committed consumer sees."""
    consumer = Consumer(
        {
            "bootstrap.servers": place.servers.kafka,
            "group.id": "check",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        consumer.assign([TopicPartition(place.topics["changes"], 0, 0)])
        while True:
            messages = consumer.consume(READ_BATCH, timeout=READ_TIMEOUT_S)
            for message in messages:
                if message.error() is not None:
                    return
                number = dict(message.headers())[PROCESSOR_NUMBER]
                yield message.key().decode(), message.value(), int(number)
            if not messages:
                raise TimeoutError(f"{place.name}: the announcements do not end")
    finally:
        consumer.close()


def _raw_figures(measured: Measured) -> Figures:
    each_us = 1e6 / measured.events
    return {
        "events/s": measured.events / measured.seconds,
        "CPU µs an event": measured.loop_cpu_s * each_us,
        "RSS MiB": measured.rss_mib,
    }


def _figures(measured: Measured, raw: Measured) -> Figures:
    each_us = 1e6 / measured.events
    figures: dict[str, Any] = {
        "events/s": measured.events / measured.seconds,
        "share of the raw loop": (measured.events / measured.seconds) / (raw.events / raw.seconds),
        "CPU µs an event": (measured.loop_cpu_s + measured.publisher_cpu_s + measured.library_cpu_s) * each_us,
        "– of them the loop": measured.loop_cpu_s * each_us,
        "– the publisher": measured.publisher_cpu_s * each_us,
        "– the libraries' threads": measured.library_cpu_s * each_us,
    }
    figures |= {f"{phase} µs an event (wall)": seconds * each_us for phase, seconds in measured.phase_s.items()}
    return {**figures, "events a commit": measured.events / measured.commits, "RSS MiB": measured.rss_mib}
