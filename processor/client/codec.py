"""For programs outside the service: events encoded and addressed, records of any topic decoded."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

from processor.avro.catalogue import Catalogue
from processor.avro.envelope import header_text, is_json
from processor.avro.events import read_json
from processor.avro.framing import Unframed
from processor.avro.records import RecordCodec
from processor.avro.wire import Malformed
from processor.cluster.event_parsing import InvalidEvent, parse_json_event
from processor.cluster.events import EVENT_TYPES, HIGH_LANE
from processor.engine.announcements import Role
from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Headers, Record
from processor.engine.outputs import CE_SPECVERSION, CE_TYPE, CONTENT_TYPE
from processor.kafka.connection import KafkaConnection
from processor.kafka.consume import AnnouncementReader, From
from processor.kafka.produce import EventProducer

EVENTS = "processor.events"
TYPE_MAX = 100
"""How many characters of an unknown type an error message shows."""


class EventEncoder:
    """Encodes an event as the value and headers of a record.

    `checked`: the event is validated as the service will validate it; without, everything that fits the schema is
    encoded, which the service may then put aside as a dead letter.
    """

    def __init__(self, catalogue: Catalogue, *, checked: bool = True) -> None:
        self._catalogue = catalogue
        self._codec = RecordCodec(catalogue)
        self._checked = checked

    def __call__(self, event_type: str, data: Mapping[str, Any]) -> tuple[bytes, Headers]:
        """Return value and headers of an event.

        `event_type` is its name without namespace, like `ModelLoadRequested`; `data` its fields as plain JSON, where
        null means absent. Raises InvalidEvent for an unknown type, a missing or wrong field.
        """
        if event_type not in EVENT_TYPES:
            raise InvalidEvent(no_such_type(event_type))
        if self._checked:
            parse_json_event(event_type, 0, data)
        name = f"{EVENTS}.{event_type}"
        try:
            value = self._codec.encode_record(self._catalogue.require(name), _without_nulls(data))
        except Malformed as error:
            raise InvalidEvent(str(error)) from error
        return value, (
            (CONTENT_TYPE, b"application/avro"),
            (CE_SPECVERSION, b"1.0"),
            (CE_TYPE, name.encode()),
        )


def no_such_type(event_type: str) -> str:
    """Return the error message for an unknown event type: the nearest one, ignoring case, and all there are."""
    names = {name.casefold(): name for name in EVENT_TYPES}
    nearest = names[get_close_matches(event_type.rpartition(".")[2].casefold(), names, n=1, cutoff=0.0)[0]]
    listed = ", ".join(sorted(EVENT_TYPES))
    return f"there is no event type {event_type[:TYPE_MAX]!r}; the nearest one is {nearest}. There are {listed}"


class DecodedRecord(msgspec.Struct, frozen=True):
    """A record of any topic, decoded.

    `timestamp_ms` is the record's time in ms since the epoch; `key` and header values are text, with escapes for bytes
    that are not UTF-8. `type` is the full name of the schema and `value` the data in plain Python types, None for a
    record without a value. Where the value cannot be decoded, it is in hex digits, and `error` says why.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str | None
    headers: tuple[tuple[str, str | None], ...]
    type: str
    value: Any
    error: str = ""


class RecordDecoder:
    """Decodes records of any of the five topics. Never raises: see `DecodedRecord.error`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._codec = RecordCodec(catalogue)

    def __call__(self, record: Record) -> DecodedRecord:
        """Return the record decoded."""
        type_name, value, error = self._value(record)
        return DecodedRecord(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp_ms,
            key=_text(record.key),
            headers=tuple((name, _text(content)) for name, content in record.headers),
            type=type_name,
            value=value,
            error=error,
        )

    def _value(self, record: Record) -> tuple[str, Any, str]:
        headers = dict(record.headers)
        stated = header_text(headers, CE_TYPE)
        if record.value is None:
            return stated, None, ""
        try:
            if is_json(headers):
                return stated, read_json(record.value), ""
            name, value = self._codec.decode_record(record.value)
        except (Malformed, Unframed, ValueError) as error:
            return stated, record.value.hex(), str(error) or type(error).__name__
        return name, value, ""


def partition_of(clusters: tuple[str, ...], cluster: str | None) -> int:
    """Return the partition of a cluster, which may be None where there is only one. Raises InvalidRequest."""
    if cluster is None:
        if len(clusters) > 1:
            raise InvalidRequest(f"which cluster? There are {', '.join(clusters)}")
        return 0
    if cluster not in clusters:
        raise InvalidRequest(f"there is no cluster {cluster!r}: there is {', '.join(clusters)}")
    return clusters.index(cluster)


def event_producer(
    connection: KafkaConnection,
    topics: Mapping[Role, str],
    encode: EventEncoder,
    *,
    clusters: tuple[str, ...],
    cluster: str | None = None,
) -> EventProducer:
    """Return a producer for the events of one cluster.

    `topics` maps roles to topic names; each event goes to the topic of its lane (`high` or `normal`), to the partition
    that is the index of `cluster` in `clusters`. Raises InvalidRequest for an unknown or ambiguous cluster.
    """
    partition = partition_of(clusters, cluster)

    def topic_of(event_type: str) -> str:
        return topics["high" if event_type in HIGH_LANE else "normal"]

    return EventProducer(connection, encode, topic_of, partition=partition, key=clusters[partition].encode())


def announcement_reader(  # noqa: PLR0913 - what to read, how, and from where
    connection: KafkaConnection,
    topic: str,
    catalogue: Catalogue,
    *,
    partitions: Sequence[int] = (0,),
    from_: From = "beginning",
    numbers: Mapping[int, int] | None = None,
    gaps: Literal["tell", "raise"] = "raise",
) -> AnnouncementReader:
    """Return a reader of the announcements of some shards; each `Received.value` is a DecodedRecord.

    `topic` is the name of the changes topic, `partitions` are the shards. By default it begins with the oldest
    announcement and raises AnnouncementsMissing at a gap; `from_`, `numbers` and `gaps` are AnnouncementReader's.
    """
    decode: Callable[[Record], DecodedRecord] = RecordDecoder(catalogue)
    return AnnouncementReader(connection, topic, partitions, decode, from_, numbers=numbers, gaps=gaps)


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", errors="backslashreplace")


def _without_nulls(data: Any) -> Any:
    """Return the data without null fields, which are null by default."""
    if isinstance(data, Mapping):
        return {name: _without_nulls(value) for name, value in data.items() if value is not None}
    if isinstance(data, list | tuple):
        return [_without_nulls(item) for item in data]
    return data
