"""The peer job: readings of 10,000 devices, three of four of which tell something new. Other engines were given it."""

from collections.abc import Iterator
from random import Random

from bench.job import Event, Job
from examples.device_twins import run
from processor.avro.records import RecordCodec
from processor.configuration.settings import Settings

DEVICES = 10_000
NEWS_SHARE = 0.75
SEED = 1

catalogue = run.catalogue
domain = run.domain


def peer_job(count: int) -> Job:
    """Return the job with so many events, of about 85 bytes each."""
    return Job("peer", tuple(_events(count)))


def device_name(number: int) -> str:
    """Return the name of a device, as long as such names are."""
    where = f"plant-{number % 7:02}/line-{number % 31:03}/cell-{number % 211:04}/station-{number % 1009:05}"
    return f"{where}/temperature-sensor-{number:08}"


def reading_values(count: int, *, first: int, first_device: int, devices: int) -> list[bytes]:
    """Return records of the readings `first`, `first` + 1 …, the devices in turn."""
    codec = RecordCodec(catalogue(Settings()))
    schema = catalogue(Settings()).require("twins.events.DeviceReported")
    return [
        codec.encode_record(schema, {"device": device_name(first_device + number % devices), "reading": first + number})
        for number in range(count)
    ]


def _events(count: int) -> Iterator[Event]:
    random = Random(SEED)  # noqa: S311 - the same events in every run
    readings = [1_000] * DEVICES
    for _ in range(count):
        number = random.randrange(DEVICES)
        if random.random() < NEWS_SHARE:
            readings[number] += 1
        yield "DeviceReported", {"device": device_name(number), "reading": readings[number]}
