"""Public API for programs that send events.

`event_producer` returns an `EventProducer` for one cluster. It validates an event (type name and data as plain JSON),
encodes it by the schemas of a `Catalogue`, and delivers it to the topic of its lane; a `Delivery` says topic, partition
and offset. Times are in ms since the epoch. Errors: InvalidEvent (type or data), InvalidRequest (cluster, settings),
SinkUnavailable (not delivered in time). The names below are stable; docs/clients.md shows a complete program.
"""

from processor.avro.catalogue import Catalogue
from processor.client.codec import EventEncoder, event_producer
from processor.cluster.event_parsing import InvalidEvent
from processor.engine.errors import InvalidRequest, SinkUnavailable
from processor.kafka.connection import KafkaConnection
from processor.kafka.produce import Delivery, Encode, EventProducer

__all__ = [
    "Catalogue",
    "Delivery",
    "Encode",
    "EventEncoder",
    "EventProducer",
    "InvalidEvent",
    "InvalidRequest",
    "KafkaConnection",
    "SinkUnavailable",
    "event_producer",
]
