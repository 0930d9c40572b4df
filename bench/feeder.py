"""Readings at scheduled times, whatever becomes of them: `python -m bench.feeder SPEC`, in a process of its own."""

import sys
import time

import msgspec
from confluent_kafka import Producer

from bench.filling import KEY
from bench.peer import reading_values
from bench.place import Place
from processor.engine.inputs import LaneName
from processor.kafka.produce import REQUIRED, TUNED

PROPERTIES = {**TUNED, **REQUIRED}
FLUSH_TIMEOUT_S = 30


class Feed(msgspec.Struct, frozen=True):
    """Reading `first + i`, of device `first_device + i % devices`, goes out at `at_s + i / rate`, to `lanes` in turn.

    `at_s` is a monotonic time.
    """

    place: Place
    at_s: float
    rate: float
    count: int
    lanes: tuple[LaneName, ...]
    first: int
    first_device: int
    devices: int

    def due_s(self, reading: int) -> float:
        """Return when a reading was to be sent."""
        return self.at_s + (reading - self.first) / self.rate

    def lane(self, reading: int) -> LaneName:
        """Return where it was sent."""
        return self.lanes[(reading - self.first) % len(self.lanes)]


def feed(spec: Feed) -> None:
    """Send everything."""
    values = reading_values(spec.count, first=spec.first, first_device=spec.first_device, devices=spec.devices)
    topics = [spec.place.topics[lane] for lane in spec.lanes]
    producer = Producer({"bootstrap.servers": spec.place.servers.kafka, **PROPERTIES})
    for number, value in enumerate(values):
        wait_s = spec.due_s(spec.first + number) - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        producer.produce(topics[number % len(topics)], value, KEY, partition=0)
        producer.poll(0)
    producer.flush(FLUSH_TIMEOUT_S)


if __name__ == "__main__":
    feed(msgspec.json.decode(sys.argv[1], type=Feed))
