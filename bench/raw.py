"""What one would write without an engine: consume, decode, compare with the last value by name, encode, produce.

`python -m bench.raw SPEC` prints what it took as JSON. Nothing is kept: after a crash the memory is gone, and what was
under way is lost or sent twice. It is the yardstick of the same run on the same servers, not a competitor.
"""

import io
import sys
import time
from typing import Any

import fastavro
import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.domains import DOMAINS
from bench.meter import Measured, rss_peak_mib
from bench.worker import Spec
from processor.avro.framing import SINGLE_OBJECT_BYTES

BATCH = 500


def run(spec: Spec) -> Measured:
    """Process so many events; return what it took."""
    known = DOMAINS[spec.job]
    schemas = {schema.fingerprint: schema for schema in known.catalogue(spec.place.settings(spec.materialise))}
    consumer = Consumer(
        {
            "bootstrap.servers": spec.place.servers.kafka,
            "group.id": "raw",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
        }
    )
    producer = Producer({"bootstrap.servers": spec.place.servers.kafka, "compression.type": "lz4", "linger.ms": 5})
    consumer.assign([TopicPartition(spec.place.topics["normal"], 0, 0)])
    output = spec.place.topics["changes"]
    last: dict[str, Any] = {}
    count, began_s, began_cpu_s = 0, 0.0, 0.0
    while count < spec.events:
        messages = consumer.consume(BATCH, timeout=0.05)
        if messages and not began_s:
            began_s, began_cpu_s = time.monotonic(), time.process_time()
        for message in messages:
            value = message.value()
            schema = schemas[value[2:SINGLE_OBJECT_BYTES]].parsed
            data = fastavro.schemaless_reader(io.BytesIO(value[SINGLE_OBJECT_BYTES:]), schema, None)
            name = next(data[field] for field in known.subject if field in data)
            if last.get(name) != data:
                last[name] = data
                body = io.BytesIO()
                fastavro.schemaless_writer(body, schema, data)
                producer.produce(output, value[:SINGLE_OBJECT_BYTES] + body.getvalue(), name)
        producer.poll(0)
        count += len(messages)
    producer.flush()
    seconds, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    consumer.close()
    return Measured(count, 0, seconds, began_s, cpu_s, 0.0, 0.0, rss_peak_mib(), "", {})


if __name__ == "__main__":
    print(msgspec.json.encode(run(msgspec.json.decode(sys.argv[1], type=Spec))).decode())
