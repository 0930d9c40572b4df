"""For programs that act on announcements: an `AnnouncementReader` follows them, each once, in order, gaps named.

`announcement_reader` makes one that decodes with a catalogue of schemas.
"""

from processor.avro.catalogue import Catalogue
from processor.client.codec import DecodedRecord, RecordDecoder, announcement_reader
from processor.engine.errors import Retry, ShardRefused
from processor.kafka.connection import KafkaConnection
from processor.kafka.consume import NONE_YET, AnnouncementReader, AnnouncementsMissing, From, Received

__all__ = [
    "NONE_YET",
    "AnnouncementReader",
    "AnnouncementsMissing",
    "Catalogue",
    "DecodedRecord",
    "From",
    "KafkaConnection",
    "Received",
    "RecordDecoder",
    "Retry",
    "ShardRefused",
    "announcement_reader",
]
