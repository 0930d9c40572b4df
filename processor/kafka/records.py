"""From Kafka messages to the engine's records and from output records to what `produce` takes."""

from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from processor.engine.announcements import OutputRecord
from processor.engine.inputs import Record

NO_TIMESTAMP_MS = -1


def record_of(message: Message) -> Record:
    """Return the record of a message that is not an error; `timestamp_ms` is −1 when it has none.

    Headers are left out altogether when a name among them is no UTF-8: the library cannot return them.
    """
    kind, timestamp_ms = message.timestamp()
    try:
        headers = message.headers()
    except SystemError:
        headers = None
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        NO_TIMESTAMP_MS if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
        message.key(),
        message.value(),
        tuple(headers) if headers else (),
    )


def produce_arguments(record: OutputRecord, topic: str, partition: int) -> dict[str, Any]:
    """Return the keyword arguments of `produce` for a record of the shard's output partition."""
    return {
        "topic": topic,
        "partition": partition,
        "key": record.key,
        "value": record.value,
        "headers": list(record.headers),
    }
