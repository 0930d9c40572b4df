"""Sends the ticks of the clock to a shard's own partition, with a plain idempotent producer."""

from confluent_kafka import KafkaException, Producer

from processor.engine.values import Headers
from processor.kafka.connection import LOGGER, UNHEARD, KafkaConnection, Property, cause_of

REQUIRED: dict[str, Property] = {"enable.idempotence": True, "acks": "all"}
# A tick that could not be delivered for so long is replaced by the next one.
TUNED: dict[str, Property] = {**UNHEARD, "message.timeout.ms": 5_000, "linger.ms": 0}


class KafkaTicker:
    """The port `Ticker`: `value` and `headers` are those of the event, encoded once; `key` is the cluster's name."""

    def __init__(
        self, connection: KafkaConnection, topic: str, partition: int, *, key: bytes, value: bytes, headers: Headers
    ) -> None:
        self._connection = connection
        self._place = {"topic": topic, "partition": partition}
        self._record = {"key": key, "value": value, "headers": list(headers)}
        self._producer: Producer | None = None

    def tick(self, at_ms: int) -> None:
        """Send one tick with this time; what cannot be sent is logged and forgotten."""
        if self._producer is None:
            self._producer = Producer(self._connection.properties(TUNED, REQUIRED), logger=LOGGER)
        try:
            self._producer.produce(**self._place, **self._record, timestamp=at_ms)
            self._producer.poll(0)
        except (BufferError, KafkaException) as failure:
            LOGGER.warning("a tick was not sent: %s", cause_of(failure))

    def close(self) -> None:
        """Let the producer go, whatever it still holds; the next tick makes another. Safe to call twice."""
        self._producer = None
