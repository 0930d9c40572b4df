"""Sends events to the processor: encoded, to the cluster's partition of the right topic, acknowledged."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Self

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.engine.errors import InvalidRequest, SinkUnavailable
from processor.engine.inputs import Headers
from processor.engine.outputs import CE_ID
from processor.kafka.connection import KafkaConnection, Property, client, code_of, words_of

FLUSH_TIMEOUT_S = 30.0
TOO_LARGE = "an event is larger than its topic takes (max.message.bytes)"
# The topics are to decide how large a record may be, so the producer's own limit is above every sensible one of theirs.
RECORD_BYTES_MAX = 8_388_608
TUNED: dict[str, Property] = {"compression.type": "lz4", "linger.ms": 5, "message.max.bytes": RECORD_BYTES_MAX}
REQUIRED: dict[str, Property] = {"enable.idempotence": True, "acks": "all"}

Encode = Callable[[str, Mapping[str, Any]], tuple[bytes, Headers]]
"""From an event type and its data to the record's value and headers; raises when the data are not valid."""


class Delivery(msgspec.Struct, frozen=True):
    """Where an event was written."""

    topic: str
    partition: int
    offset: int


class NewRecord(msgspec.Struct, frozen=True):
    """A record to write; `at_ms` is its time, None: now."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    at_ms: int | None = None


class RecordProducer:
    """Sends records unchanged. Close it, or use it in a `with` statement, which flushes. Safe from any thread."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._producer = client(Producer, connection.properties(TUNED, REQUIRED))
        self._sent: list[Future[Delivery]] = []

    def send_record(self, record: NewRecord) -> Future[Delivery]:
        """Send one record; where it was written is known after `flush` (or some later sending).

        Raises InvalidRequest (a time before the epoch's first millisecond, far too large), SinkUnavailable (the queue
        stays full).
        """
        if record.at_ms is not None and record.at_ms <= 0:
            raise InvalidRequest(f"at_ms is {record.at_ms}: a record's time is after the epoch")
        delivery: Future[Delivery] = Future()
        self._produce(
            topic=record.topic,
            partition=record.partition,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            timestamp=record.at_ms or 0,
            on_delivery=partial(self._settle, delivery),
        )
        self._sent.append(delivery)
        self._producer.poll(0)
        return delivery

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> list[Delivery]:
        """Wait for everything sent since the last flush; return where it was written, in the order it was sent.

        Raises SinkUnavailable when something was not acknowledged, InvalidRequest when it is larger than its topic
        takes: each future tells its own fate.
        """
        sent, self._sent = self._sent, []
        waiting = self._producer.flush(timeout_s)
        if waiting:
            self._sent = sent + self._sent
            words = f"{waiting} events were not acknowledged within {timeout_s} s"
            raise SinkUnavailable(self._connection.explained(words, TimeoutError()))
        return [delivery.result(0) for delivery in sent]

    def close(self) -> None:
        """Close the producer; records that are not flushed are lost."""
        self._producer.purge(blocking=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        self.close()

    def _produce(self, **arguments: Any) -> None:
        try:
            self._producer.produce(**arguments)
        except BufferError:
            self._producer.flush(FLUSH_TIMEOUT_S)
            try:
                self._producer.produce(**arguments)
            except BufferError as failure:
                raise SinkUnavailable("the queue of unacknowledged events is full") from failure
        except KafkaException as failure:
            if code_of(failure) == KafkaError.MSG_SIZE_TOO_LARGE:
                raise InvalidRequest(TOO_LARGE) from failure
            raise SinkUnavailable(f"an event was not taken: {self._connection.cause_of(failure)}") from failure

    def _settle(self, delivery: "Future[Delivery]", error: KafkaError | None, message: Message) -> None:
        if error is None:
            delivery.set_result(Delivery(message.topic(), message.partition(), message.offset()))
        elif error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            delivery.set_exception(InvalidRequest(TOO_LARGE))
        else:
            cause = self._connection.explained(words_of(error), error)
            delivery.set_exception(SinkUnavailable(f"an event was not written: {cause}"))


class EventProducer(RecordProducer):
    """Sends events of one cluster: `partition` is its partition, `key` its name; `topic_of` an event type."""

    def __init__(
        self,
        connection: KafkaConnection,
        encode: Encode,
        topic_of: Callable[[str], str],
        *,
        partition: int,
        key: bytes,
    ) -> None:
        super().__init__(connection)
        self._encode = encode
        self._topic_of = topic_of
        self._partition = partition
        self._key = key

    def send(
        self,
        event_type: str,
        data: Mapping[str, Any],
        *,
        at_ms: int | None = None,
        event_id: str | None = None,
        headers: Headers = (),
    ) -> Future[Delivery]:
        """Send one event.

        `at_ms` is its time (None: now), `event_id` its id (None: made of topic, partition and offset), `headers` are
        its own beside ours, a `traceparent` for example. Raises what `encode` and `send_record` raise.
        """
        value, ours = self._encode(event_type, data)
        if event_id is not None:
            ours = (*ours, (CE_ID, event_id.encode()))
        return self.send_encoded(self._topic_of(event_type), value, (*headers, *ours), at_ms=at_ms)

    def send_encoded(
        self, topic: str, value: bytes | None, headers: Headers = (), *, at_ms: int | None = None
    ) -> Future[Delivery]:
        """Send an encoded event under the cluster's key. Raises as `send_record` does."""
        return self.send_record(NewRecord(topic, self._partition, self._key, value, headers, at_ms))
