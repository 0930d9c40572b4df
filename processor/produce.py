"""For programs that send events: an `EventProducer` checks, encodes, addresses and delivers them.

`event_producer` makes one for a cluster.
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
