"""What both kinds of sink share: the shard's partition of the three output topics, its limits, rights and tails."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

import msgspec
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource

from processor.engine.announcements import OutputRecord, Role, Tail
from processor.engine.errors import SinkUnavailable, SourceUnavailable
from processor.engine.failpoints import Failpoint, never
from processor.kafka.connection import LOGGER, UNHEARD, KafkaConnection, Property, ShardTopics, client
from processor.kafka.describer import TopicDescriber
from processor.kafka.records import produce_arguments
from processor.kafka.rights import lacking, missing_rights, shard_rights, tails_group
from processor.kafka.tail import TailReader

# librdkafka ends a request at its timeout; its answer needs a moment to arrive.
ANSWER_MARGIN_S = 1.0
RIGHTS_TIMEOUT_S = 3.0
# Room for what the producer and the broker put around a record.
RECORD_OVERHEAD_BYTES = 4_096
# The topics are to decide, so the producer's own limit is above every sensible one of theirs.
PRODUCER_BYTES_MAX = 8_388_608
BATCH_BYTES_MAX = 1_000_000
EMBEDDED_RECORD_BYTES_MAX = 1_000_000
STOP_LOOK_INTERVAL_S = 0.1
"""How often who waits looks whether it is asked to stop."""

TUNED: dict[str, Property] = {
    **UNHEARD,
    "compression.type": "lz4",
    "linger.ms": 1,
    "message.max.bytes": PRODUCER_BYTES_MAX,
    "queue.buffering.max.messages": 1_000_000,
}


class SinkTimeouts(msgspec.Struct, frozen=True):
    """How long each part may take; `transaction_s` is when the broker itself ends a transaction left open.

    What waits for the broker gives up at once when `stopping` says so, where the library can be interrupted.
    """

    open_s: float = 30.0
    request_s: float = 10.0
    transaction_s: float = 30.0
    tails_s: float = 30.0
    stopping: Callable[[], bool] = lambda: False


class OutputSink(ABC):
    """The port `Sink` without the way of writing; `writer` names the shard, whichever process runs it."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: ShardTopics,
        writer: str,
        timeouts: SinkTimeouts = SinkTimeouts(),  # noqa: B008 - frozen
        failpoint: Failpoint = never,
        describer: TopicDescriber | None = None,
    ) -> None:
        self._connection = connection
        self._describer = describer
        self._all_topics = topics
        self._topics = topics.outputs
        self._partition = topics.output_partition
        self._writer = writer
        self._timeouts = timeouts
        self._failpoint = failpoint
        self._producer: Producer | None = None
        self._topic_bytes_max: int | None = None

    def open(self) -> None:
        """Replace the producer by a new one. Raises SinkUnavailable."""
        self._discard()
        self._check_rights()
        self._read_limits()
        self._producer = self._opened()

    @abstractmethod
    def publish(self, records: Sequence[OutputRecord]) -> None:
        """Publish all records in this order. Raises SinkUnclear: then `open` before anything else."""

    def close(self) -> None:
        """Discard the producer; safe to call twice."""
        self._discard()

    def record_bytes_max(self) -> int:
        """Return the size in bytes (key, value, headers) of the largest record that may be published.

        Raises SinkUnavailable.
        """
        if self._topic_bytes_max is None:
            self._read_limits()
        producer_bytes_max = int(self._connection.properties(TUNED, {})["message.max.bytes"])
        return min(self._topic_bytes_max or 0, producer_bytes_max) - RECORD_OVERHEAD_BYTES

    def _read_limits(self) -> None:
        """Ask the broker again for the limits of the topics. Raises SinkUnavailable."""
        limits = [EMBEDDED_RECORD_BYTES_MAX] if self._connection.embedded else self._limits()
        self._topic_bytes_max = min(limits)

    def _check_rights(self) -> None:
        """Ask the brokers for the rights of the shard. Raises SinkUnavailable with all missing ones.

        If no broker answers, the next call reports it.
        """
        if self._connection.embedded:
            return
        needed = shard_rights(self._all_topics, self._writer)
        try:
            missing = missing_rights(self._connection, needed, timeout_s=RIGHTS_TIMEOUT_S, describer=self._describer)
        except SourceUnavailable as failure:
            LOGGER.info("%s", failure)
            return
        if missing:
            raise SinkUnavailable(f"Kafka: {lacking(self._connection, missing)}")

    def _producer_properties(self, required: Mapping[str, Property]) -> dict[str, Property]:
        """Return a producer's properties: acknowledged by all replicas, no batch larger than a topic takes."""
        batch = {"batch.size": min(BATCH_BYTES_MAX, self.record_bytes_max())}
        return self._connection.properties({**TUNED, **batch}, {**required, "acks": "all"})

    def _produce_arguments(self, record: OutputRecord) -> dict[str, Any]:
        """Return the keyword arguments of `produce` for this record."""
        return produce_arguments(record, self._topics[record.role], self._partition)

    def tails(self) -> dict[Role, Tail]:
        """Return the last data record of each partition. Raises SinkUnavailable, ShardRefused."""
        places = {role: (topic, self._partition) for role, topic in self._topics.items()}
        # not kept: between two readings nobody polls it, and what a client says in an outage would pile up
        reader = TailReader(self._connection, tails_group(self._writer), places)
        try:
            return reader.read(self._timeouts.tails_s)
        finally:
            reader.close()

    @abstractmethod
    def _opened(self) -> Producer:
        """Return a new producer that is ready to publish. Raises SinkUnavailable."""

    def _discard(self) -> None:
        """Drop the producer without closing it: closing would abort and flush, and its outcome may be in doubt."""
        self._producer = None

    def _produce_halves(self, records: Sequence[OutputRecord], produce: Callable[[OutputRecord], None]) -> None:
        """Produce all records, past the failpoints in the middle and at the end."""
        half = len(records) // 2
        for record in records[:half]:
            produce(record)
        self._failpoint("half_produced")
        for record in records[half:]:
            produce(record)
        self._failpoint("after_produce")

    def _limits(self) -> Iterable[int]:
        admin = client(AdminClient, self._connection.properties(UNHEARD, {}))
        resources = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in self._topics.values()]
        try:
            answers = admin.describe_configs(resources, request_timeout=self._timeouts.request_s).values()
            return [int(self._waited_for(answer)["max.message.bytes"].value) for answer in answers]
        except (KafkaException, TimeoutError) as failure:
            cause = self._connection.cause_of(failure, admin)
            raise SinkUnavailable(f"Kafka: the output topics' limits cannot be read: {cause}") from failure

    def _waited_for(self, answer: "Future[Any]") -> Any:
        """Return an answer. Raises what it ended with, TimeoutError."""
        deadline_s = time.monotonic() + self._timeouts.request_s + ANSWER_MARGIN_S
        while not (answer.done() or self._timeouts.stopping() or time.monotonic() > deadline_s):
            wait((answer,), STOP_LOOK_INTERVAL_S)
        return answer.result(0)
