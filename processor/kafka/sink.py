"""The outputs of a shard, written in transactions that fence every older writer.

`commit_transaction` is the only call that reports: with delivery callbacks or a flush a fatal error surfaces elsewhere,
as a SystemError without its cause. So no callbacks, no flush, and both kinds are caught around the whole transaction.
"""

import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from processor.engine.announcements import OutputRecord
from processor.engine.errors import SinkFenced, SinkUnavailable, SinkUnclear
from processor.kafka.connection import Property, client, code_of
from processor.kafka.output import OutputSink

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


class KafkaSink(OutputSink):
    """Publishes in transactions; its `writer` is the transactional id of the shard.

    Opening it fences every older producer of that id, and aborts the transaction that one left open.
    """

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
            raise kind(f"Kafka: the transaction ended unclear: {self._connection.cause_of(failure)}") from failure
        if commit_s > self._timeouts.request_s:
            self._discard()
            raise SinkUnclear(f"Kafka: committing took {commit_s:.1f} s: a second request may be under way")

    def _opened(self) -> Producer:
        required: dict[str, Property] = {
            "transactional.id": self._writer,
            "enable.idempotence": True,
            "transaction.timeout.ms": int(self._timeouts.transaction_s * 1000),
            "request.timeout.ms": int(self._timeouts.request_s * 1000),
            "socket.timeout.ms": int(self._timeouts.request_s * 1000),
        }
        producer = client(Producer, self._producer_properties(required))
        self._initialise(producer)
        return producer

    def _initialise(self, producer: Producer) -> None:
        """Wait for the producer id with short calls, because nothing interrupts a long one."""
        deadline_s = time.monotonic() + self._timeouts.open_s
        while True:
            try:
                producer.init_transactions(min(INIT_SLICE_S, max(0.1, deadline_s - time.monotonic())))
            except (KafkaException, SystemError) as failure:
                given_up = time.monotonic() > deadline_s or self._timeouts.stopping()
                if given_up or not _is_retriable(failure):
                    needs = f"WRITE on transactional id {self._writer}"
                    cause = self._connection.cause_of(failure, producer, needs=needs)
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
        """Return the duration of the commit in seconds. One call: after a second one the outcome would be unclear."""
        self._failpoint("before_begin_transaction")
        producer.begin_transaction()
        deadline_s = time.monotonic() + self._timeouts.request_s
        self._produce_halves(records, lambda record: self._produce(producer, record, deadline_s))
        self._failpoint("before_commit_transaction")
        began_s = time.monotonic()
        producer.commit_transaction(self._timeouts.request_s)
        took_s = time.monotonic() - began_s
        self._failpoint("after_commit_transaction")
        return took_s

    def _produce(self, producer: Producer, record: OutputRecord, deadline_s: float) -> None:
        arguments = self._produce_arguments(record)
        while True:
            try:
                producer.produce(**arguments)
            except BufferError:
                if time.monotonic() > deadline_s:
                    raise
                producer.poll(QUEUE_FULL_POLL_S)
            else:
                return


def _is_fenced(failure: BaseException) -> bool:
    return isinstance(failure, KafkaException) and code_of(failure) in FENCED


def _is_retriable(failure: BaseException) -> bool:
    error = failure.args[0] if failure.args else None
    return isinstance(error, KafkaError) and error.retriable()
