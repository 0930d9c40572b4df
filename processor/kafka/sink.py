"""The shard's outputs, written in transactions that fence every older writer.

`commit_transaction` is the only call that reports: with delivery callbacks or a flush a fatal error surfaces elsewhere,
as a SystemError without its cause. So no callbacks, no flush, and both kinds are caught around the whole transaction.
"""

import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from processor.engine.announcements import OutputRecord, Role, Tail
from processor.engine.errors import SinkFenced, SinkUnavailable, SinkUnclear
from processor.engine.failpoints import Failpoint, never
from processor.kafka.connection import KafkaConnection, Property, ShardTopics, client, code_of
from processor.kafka.describer import TopicDescriber
from processor.kafka.output import Output, SinkTimeouts

QUEUE_FULL_POLL_S = 0.01
FENCED = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - the library's own name for it
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)
"""A newer producer of our transactional id was initialised, or the broker ended a transaction past its timeout."""
INIT_SLICE_S = 1.0
TRANSACTION_LIMIT = "transaction.max.timeout.ms"
"""The brokers' setting that ours must not be above."""


class KafkaSink:
    """The port `Sink` on Kafka; `transactional_id` names the shard, whoever runs it."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: ShardTopics,
        transactional_id: str,
        timeouts: SinkTimeouts = SinkTimeouts(),  # noqa: B008 - frozen
        failpoint: Failpoint = never,
        describer: TopicDescriber | None = None,
    ) -> None:
        self._output = Output(connection, topics, transactional_id, timeouts, describer)
        self._transactional_id = transactional_id
        self._timeouts = timeouts
        self._failpoint = failpoint
        self._producer: Producer | None = None

    def record_bytes_max(self) -> int:
        """Return the largest record (key, value, headers) that may be published. Raises SinkUnavailable."""
        return self._output.record_bytes_max()

    def open(self) -> None:
        """Make a new producer and fence every older one; what they left open is aborted. Raises SinkUnavailable."""
        self._discard()
        self._output.check_rights()
        self._output.read_limits()
        producer = client(Producer, self._output.producer_properties(self._required()))
        self._initialise(producer)
        self._producer = producer

    def publish(self, records: Sequence[OutputRecord]) -> None:
        """Publish all in one transaction, in this order. Raises SinkUnclear: then `open` before anything else."""
        producer = self._producer
        if producer is None:
            raise SinkUnclear("no producer is open")
        began_s = time.monotonic()
        try:
            commit_s = self._transact(producer, records)
        except (KafkaException, SystemError, BufferError) as failure:
            self._discard()
            # The broker itself fences a transaction that is open for too long: that is nobody's doing but ours.
            in_time = time.monotonic() - began_s < self._timeouts.transaction_s
            kind = SinkFenced if in_time and _is_fenced(failure) else SinkUnclear
            raise kind(
                f"Kafka: the transaction ended unclear: {self._output.connection.cause_of(failure)}"
            ) from failure
        if commit_s > self._timeouts.request_s:
            self._discard()
            raise SinkUnclear(f"Kafka: committing took {commit_s:.1f} s: a second request may be under way")

    def tails(self) -> dict[Role, Tail]:
        """Read the last data record of each output partition. Raises SinkUnavailable, ShardRefused."""
        return self._output.tails()

    def close(self) -> None:
        """Throw the producer away; safe to call twice."""
        self._discard()

    def _required(self) -> dict[str, Property]:
        return {
            "transactional.id": self._transactional_id,
            "enable.idempotence": True,
            "transaction.timeout.ms": int(self._timeouts.transaction_s * 1000),
            "request.timeout.ms": int(self._timeouts.request_s * 1000),
            "socket.timeout.ms": int(self._timeouts.request_s * 1000),
        }

    def _initialise(self, producer: Producer) -> None:
        """Wait for the producer id, with a call that is resumed again and again: nothing interrupts it."""
        deadline_s = time.monotonic() + self._timeouts.open_s
        while True:
            try:
                producer.init_transactions(min(INIT_SLICE_S, max(0.1, deadline_s - time.monotonic())))
            except (KafkaException, SystemError) as failure:
                given_up = time.monotonic() > deadline_s or self._timeouts.stopping()
                if given_up or not _is_retriable(failure):
                    needs = f"WRITE on transactional id {self._transactional_id}"
                    cause = self._output.connection.cause_of(failure, producer, needs=needs)
                    advice = self._advice(failure)
                    raise SinkUnavailable(f"Kafka: the producer cannot be initialised: {cause}{advice}") from failure
            else:
                return

    def _advice(self, failure: BaseException) -> str:
        error = failure.args[0] if failure.args else None
        if isinstance(error, KafkaError) and error.code() == KafkaError.INVALID_TRANSACTION_TIMEOUT:
            needed_ms = int(self._timeouts.transaction_s * 1000)
            return f"; set {TRANSACTION_LIMIT} of the brokers to {needed_ms} or more, and restart them"
        return ""

    def _transact(self, producer: Producer, records: Sequence[OutputRecord]) -> float:
        """Return how long the commit took, in seconds. One call: after a second one its outcome would be unclear."""
        self._failpoint("before_begin_transaction")
        producer.begin_transaction()
        deadline_s = time.monotonic() + self._timeouts.request_s
        half = len(records) // 2
        for record in records[:half]:
            self._produce(producer, record, deadline_s)
        self._failpoint("half_produced")
        for record in records[half:]:
            self._produce(producer, record, deadline_s)
        self._failpoint("after_produce")
        self._failpoint("before_commit_transaction")
        began_s = time.monotonic()
        producer.commit_transaction(self._timeouts.request_s)
        took_s = time.monotonic() - began_s
        self._failpoint("after_commit_transaction")
        return took_s

    def _produce(self, producer: Producer, record: OutputRecord, deadline_s: float) -> None:
        arguments = self._output.produce_arguments(record)
        while True:
            try:
                producer.produce(**arguments)
            except BufferError:
                if time.monotonic() > deadline_s:
                    raise
                producer.poll(QUEUE_FULL_POLL_S)
            else:
                return

    def _discard(self) -> None:
        # Not closed: closing would abort and flush, and nothing more may be said by a producer in doubt.
        self._producer = None


def _is_fenced(failure: BaseException) -> bool:
    return isinstance(failure, KafkaException) and code_of(failure) in FENCED


def _is_retriable(failure: BaseException) -> bool:
    error = failure.args[0] if failure.args else None
    return isinstance(error, KafkaError) and error.retriable()
