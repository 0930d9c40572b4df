"""The shard's outputs for the lowest latency: idempotent, without transactions.

Nothing is fenced and nothing is hidden: readers drop what is at or below the last `processor-number` they saw.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.engine.announcements import OutputRecord
from processor.engine.errors import SinkUnclear
from processor.kafka.connection import client, words_of
from processor.kafka.output import OutputSink


class IdempotentSink(OutputSink):
    """Publishes without transactions and waits for every acknowledgement."""

    _failures: list[str]

    def _opened(self) -> Producer:
        self._failures = []
        # Without the guarantee, records behind one that failed could overtake it.
        required = {"enable.idempotence": True, "enable.gapless.guarantee": True, "linger.ms": 0}
        return client(Producer, self._producer_properties(required))

    def publish(self, records: Sequence[OutputRecord]) -> None:
        """Publish all of them in this order and wait until they are acknowledged. Raises SinkUnclear."""
        producer = self._producer
        if producer is None:
            raise SinkUnclear("no producer is open")
        try:
            self._produce_halves(records, lambda record: self._produce(producer, record))
            waiting = producer.flush(self._timeouts.request_s)
        except (KafkaException, SystemError, BufferError) as failure:
            self._discard()
            raise SinkUnclear(
                f"Kafka: not everything was acknowledged: {self._connection.cause_of(failure)}"
            ) from failure
        if waiting or self._failures:
            self._discard()
            raise SinkUnclear(f"Kafka: {waiting} records without an answer, failures: {self._failures[:1]}")

    def _produce(self, producer: Producer, record: OutputRecord) -> None:
        arguments = self._produce_arguments(record)
        try:
            producer.produce(**arguments, on_delivery=self._note)
        except BufferError:
            producer.poll(self._timeouts.request_s)
            producer.produce(**arguments, on_delivery=self._note)

    def _note(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failures.append(self._connection.explained(words_of(error), error))

    def _discard(self) -> None:
        """Drop the producer and what it has queued: nobody waits for its acknowledgements any more."""
        if self._producer is not None:
            self._producer.purge(blocking=False)
        super()._discard()
