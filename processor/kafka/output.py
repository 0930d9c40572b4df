"""The shard's partition of the three output topics: how large a record may be and what was published last."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from typing import Any

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource

from processor.engine.announcements import OutputRecord, Role, Tail
from processor.engine.errors import SinkUnavailable, SourceUnavailable
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


class Output:
    """The output side of a shard; whatever writes to it holds one."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: ShardTopics,
        writer: str,
        timeouts: SinkTimeouts,
        describer: TopicDescriber | None = None,
    ) -> None:
        self.connection = connection
        self._describer = describer
        self._all_topics = topics
        self._topics = topics.outputs
        self._partition = topics.output_partition
        self._writer = writer
        self._timeouts = timeouts
        self._topic_bytes_max: int | None = None

    def record_bytes_max(self) -> int:
        """Return the largest record that every one of the topics takes. Raises SinkUnavailable."""
        if self._topic_bytes_max is None:
            self.read_limits()
        producer_bytes_max = int(self.connection.properties(TUNED, {})["message.max.bytes"])
        return min(self._topic_bytes_max or 0, producer_bytes_max) - RECORD_OVERHEAD_BYTES

    def read_limits(self) -> None:
        """Ask the broker again what the topics take. Raises SinkUnavailable."""
        limits = [EMBEDDED_RECORD_BYTES_MAX] if self.connection.embedded else self._limits()
        self._topic_bytes_max = min(limits)

    def check_rights(self) -> None:
        """Ask the brokers what the shard may do. Raises SinkUnavailable, with all that is missing.

        Who does not answer is found out by what comes next.
        """
        if self.connection.embedded:
            return
        needed = shard_rights(self._all_topics, self._writer)
        try:
            missing = missing_rights(self.connection, needed, timeout_s=RIGHTS_TIMEOUT_S, describer=self._describer)
        except SourceUnavailable as failure:
            LOGGER.info("%s", failure)
            return
        if missing:
            raise SinkUnavailable(f"Kafka: {lacking(self.connection, missing)}")

    def producer_properties(self, required: Mapping[str, Property]) -> dict[str, Property]:
        """Return a producer's properties: acknowledged by all replicas, no batch larger than a topic takes."""
        batch = {"batch.size": min(BATCH_BYTES_MAX, self.record_bytes_max())}
        return self.connection.properties({**TUNED, **batch}, {**required, "acks": "all"})

    def produce_arguments(self, record: OutputRecord) -> dict[str, Any]:
        """Return the keyword arguments of `produce` for this record."""
        return produce_arguments(record, self._topics[record.role], self._partition)

    def tails(self) -> dict[Role, Tail]:
        """Return the last data record of each partition. Raises SinkUnavailable, ShardRefused."""
        places = {role: (topic, self._partition) for role, topic in self._topics.items()}
        # not kept: between two readings nobody polls it, and what a client says in an outage would pile up
        reader = TailReader(self.connection, tails_group(self._writer), places)
        try:
            return reader.read(self._timeouts.tails_s)
        finally:
            reader.close()

    def _limits(self) -> Iterable[int]:
        admin = client(AdminClient, self.connection.properties(UNHEARD, {}))
        resources = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in self._topics.values()]
        try:
            answers = admin.describe_configs(resources, request_timeout=self._timeouts.request_s).values()
            return [int(self._waited_for(answer)["max.message.bytes"].value) for answer in answers]
        except (KafkaException, TimeoutError) as failure:
            cause = self.connection.cause_of(failure, admin)
            raise SinkUnavailable(f"Kafka: the output topics' limits cannot be read: {cause}") from failure

    def _waited_for(self, answer: "Future[Any]") -> Any:
        """Return an answer. Raises what it ended with, TimeoutError."""
        deadline_s = time.monotonic() + self._timeouts.request_s + ANSWER_MARGIN_S
        while not (answer.done() or self._timeouts.stopping() or time.monotonic() > deadline_s):
            wait((answer,), STOP_LOOK_INTERVAL_S)
        return answer.result(0)
