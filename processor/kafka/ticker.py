"""Sends clock ticks to the shard's partition with a plain idempotent producer."""

from time import monotonic

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.engine.inputs import Headers
from processor.kafka.connection import LOGGER, UNHEARD, KafkaConnection, Property, client, words_of

REQUIRED: dict[str, Property] = {"enable.idempotence": True, "acks": "all"}
# A tick that could not be delivered for so long is replaced by the next one.
TUNED: dict[str, Property] = {**UNHEARD, "message.timeout.ms": 5_000, "linger.ms": 0}
LOG_INTERVAL_S = 60.0


class KafkaTicker:
    """The port `Ticker`: `value` and `headers` are those of the event, encoded once; `key` is the cluster's name.

    `failed_count` ticks were lost so far; it may be read from any thread.
    """

    def __init__(
        self, connection: KafkaConnection, topic: str, partition: int, *, key: bytes, value: bytes, headers: Headers
    ) -> None:
        self._connection = connection
        self._place = {"topic": topic, "partition": partition}
        self._record = {"key": key, "value": value, "headers": list(headers)}
        self._needs = f"WRITE on topic {topic}"
        self._producer: Producer | None = None
        self._logged_s = -LOG_INTERVAL_S
        self.failed_count = 0
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the last tick failed, empty if it was written; for the thread that ticks."""
        if self._producer is not None and len(self._producer):
            self._producer.poll(0)
        return self._trouble

    def tick(self, at_ms: int) -> None:
        """Send one tick with this time; failures are counted, logged at intervals, and not retried."""
        if self._producer is None:
            self._producer = client(Producer, self._connection.properties(TUNED, REQUIRED))
        producer = self._producer
        if self._trouble:
            self._connection.renew(producer)
        try:
            producer.produce(**self._place, **self._record, timestamp=at_ms, on_delivery=self._note)
        except BufferError:
            self._fail("the queue of ticks is full")
        except KafkaException as failure:
            self._fail(self._connection.cause_of(failure, producer, needs=self._needs))
            self._producer = None  # a failure may be for ever: the next tick makes another
        producer.poll(0)

    def close(self) -> None:
        """Drop the producer and what it holds; the next tick makes another. Safe to call twice."""
        self._producer = None
        self._trouble = ""

    def _note(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._trouble = ""
        else:
            self._fail(self._connection.explained(words_of(error), error, needs=self._needs))

    def _fail(self, cause: str) -> None:
        self.failed_count += 1
        self._trouble = f"clock: a tick was not written to {self._place['topic']}: {cause}"
        if monotonic() - self._logged_s >= LOG_INTERVAL_S:
            self._logged_s = monotonic()
            LOGGER.warning("%s (%d ticks were lost so far)", self._trouble, self.failed_count)
