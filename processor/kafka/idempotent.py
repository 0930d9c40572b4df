"""The shard's outputs for the lowest latency: idempotent, without transactions.

Nothing is fenced and nothing is hidden: readers drop what is at or below the last `processor-number` they saw.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.engine.announcements import OutputRecord, Role, Tail
from processor.engine.errors import SinkUnclear
from processor.engine.failpoints import Failpoint, never
from processor.kafka.connection import KafkaConnection, ShardTopics, client, words_of
from processor.kafka.describer import TopicDescriber
from processor.kafka.output import Output, SinkTimeouts


class IdempotentSink:
    """The port `Sink` on Kafka without transactions; `writer` names the shard."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: ShardTopics,
        writer: str,
        timeouts: SinkTimeouts = SinkTimeouts(),  # noqa: B008 - frozen
        failpoint: Failpoint = never,
        describer: TopicDescriber | None = None,
    ) -> None:
        self._output = Output(connection, topics, writer, timeouts, describer)
        self._timeouts = timeouts
        self._failpoint = failpoint
        self._producer: Producer | None = None
        self._failures: list[str] = []

    def record_bytes_max(self) -> int:
        """Return the largest record (key, value, headers) that may be published. Raises SinkUnavailable."""
        return self._output.record_bytes_max()

    def open(self) -> None:
        """Make a new producer. Raises SinkUnavailable."""
        self._discard()
        self._output.check_rights()
        self._output.read_limits()
        # Without the guarantee a record that failed could be overtaken by those behind it.
        required = {"enable.idempotence": True, "enable.gapless.guarantee": True, "linger.ms": 0}
        self._failures = []
        self._producer = client(Producer, self._output.producer_properties(required))

    def publish(self, records: Sequence[OutputRecord]) -> None:
        """Publish all of them in this order and wait until they are acknowledged. Raises SinkUnclear."""
        producer = self._producer
        if producer is None:
            raise SinkUnclear("no producer is open")
        try:
            half = len(records) // 2
            for record in records[:half]:
                self._produce(producer, record)
            self._failpoint("half_produced")
            for record in records[half:]:
                self._produce(producer, record)
            self._failpoint("after_produce")
            waiting = producer.flush(self._timeouts.request_s)
        except (KafkaException, SystemError, BufferError) as failure:
            self._discard()
            raise SinkUnclear(
                f"Kafka: not everything was acknowledged: {self._output.connection.cause_of(failure)}"
            ) from failure
        if waiting or self._failures:
            self._discard()
            raise SinkUnclear(f"Kafka: {waiting} records without an answer, failures: {self._failures[:1]}")

    def tails(self) -> dict[Role, Tail]:
        """Read the last data record of each output partition. Raises SinkUnavailable, ShardRefused."""
        return self._output.tails()

    def close(self) -> None:
        """Throw the producer away; safe to call twice."""
        self._discard()

    def _produce(self, producer: Producer, record: OutputRecord) -> None:
        arguments = self._output.produce_arguments(record)
        try:
            producer.produce(**arguments, on_delivery=self._note)
        except BufferError:
            producer.poll(self._timeouts.request_s)
            producer.produce(**arguments, on_delivery=self._note)

    def _note(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failures.append(self._output.connection.explained(words_of(error), error))

    def _discard(self) -> None:
        # What is still queued must not be sent by a producer that nobody waits for.
        if self._producer is not None:
            self._producer.purge(blocking=False)
        self._producer = None
