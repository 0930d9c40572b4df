"""The same engine running the device twins: readings go in, announcements come out.

    python -m examples.device_twins.run

Kafka and the store are embedded here: nothing but Python is needed, and nothing is left afterwards.
"""

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from examples.device_twins.machine import DeviceTwins, InvalidEvent, parse_event
from processor.assembly.backends import EmbeddedBackend
from processor.assembly.engine import Domain
from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.avro.decoder import AvroEventDecoder
from processor.avro.records import RecordCodec
from processor.configuration.settings import Settings
from processor.consume import AnnouncementReader
from processor.engine.announcements import Role
from processor.produce import EventProducer, KafkaConnection
from processor.service.shards import ShardService

SCHEMAS = Path(__file__).parent / "schemas"
TOPICS: Mapping[Role, str] = {
    "high": "twins.urgent",
    "normal": "twins.readings",
    "changes": "twins.changes",
    "commits": "twins.commits",
    "dead-letters": "twins.dead-letters",
}
Readings = Sequence[tuple[str, int]]
"""(device, reading)"""

STORY: Sequence[Readings] = ([("boiler", 71)], [("door", 0)], [("boiler", 71), ("boiler", 74)])
"""Each part leads to one announcement; a reading that repeats the last one leads to none."""
ANNOUNCEMENT_WAIT_S = 30.0


def catalogue(settings: Settings) -> Catalogue:
    """Return the twins' schemas and the engine's own (rejections, the commit log)."""
    return Catalogue.load(settings.schemas_dir, SCHEMAS)


def domain(schemas: Catalogue) -> Domain:
    """Return the state machine with its codec, which is all that the engine needs."""
    machine = DeviceTwins()
    return Domain(
        machine,
        AvroEventDecoder(schemas, parse_event, InvalidEvent, namespace="twins.events"),
        AvroEncoder(schemas, machine.entity_types, namespace="twins"),
    )


def announced(story: Iterable[Readings]) -> list[dict[str, Any]]:
    """Run the story through a new engine; return the announcement of each part as plain data."""
    settings = Settings(app="twins", clusters=("twins",))
    schemas = catalogue(settings)
    stop = threading.Event()
    backend = EmbeddedBackend(settings, TOPICS)
    backend.start()
    running = threading.Thread(target=ShardService(settings, backend, domain(schemas), stop=stop).run)
    running.start()
    try:
        return list(_conversation(backend.kafka.connection(), schemas, story))
    finally:
        stop.set()
        running.join()


def _conversation(
    connection: KafkaConnection, schemas: Catalogue, story: Iterable[Readings]
) -> Iterator[dict[str, Any]]:
    codec = RecordCodec(schemas)
    schema = schemas.require("twins.events.DeviceReported")
    reader = AnnouncementReader(
        connection, TOPICS["changes"], (0,), lambda record: codec.decode_record(record.value or b"")[1]
    )
    producer = EventProducer(
        connection,
        lambda _, data: (codec.encode_record(schema, dict(data)), ()),
        lambda _: TOPICS["normal"],
        partition=0,
        key=b"twins",
    )
    try:
        for readings in story:
            for device, reading in readings:
                producer.send("DeviceReported", {"device": device, "reading": reading})
            producer.flush()
            received = reader.poll(ANNOUNCEMENT_WAIT_S)
            if received is None:
                raise TimeoutError(f"nothing was announced within {ANNOUNCEMENT_WAIT_S} s")
            yield received.value
    finally:
        producer.close()
        reader.close()


def main() -> int:
    """Print the announcements of the readings."""
    for change in announced(STORY):
        print(change["op"], change["before"], "→", change["after"], [item["type"] for item in change["transitions"]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
