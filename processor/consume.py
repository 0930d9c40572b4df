"""Public API for programs that act on announcements.

`announcement_reader` returns an `AnnouncementReader`, which yields every announcement of some shards once, in order, as
`Received` with its number and decoded by the schemas of a `Catalogue`; `RecordDecoder` decodes single records of any
topic to a `DecodedRecord`. Errors: AnnouncementsMissing (a gap in the numbers), ShardRefused (records were removed
before they were read, or are no announcements), Retry (Kafka does not answer; poll again). The names below are stable;
docs/clients.md shows a complete program.
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
