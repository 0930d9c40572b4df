"""How to reach the brokers, which topics and partitions belong to a shard, and what is common to all clients."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from processor.engine.announcements import Role
from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.engine.inputs import LaneName, Watermarks
from processor.kafka.causes import Causes, principal_of, without_secrets

Property = str | int | float | bool

LOGGER = logging.getLogger("processor.kafka")


# While no broker answers, librdkafka knocks at every address again after the first of these, for ever: its default of
# 100 ms keeps a core busy. After a real outage nobody should wait longer than the second, by default ten times as long.
RECONNECTING: Mapping[str, Property] = {"reconnect.backoff.ms": 250, "reconnect.backoff.max.ms": 1_000}
# What a client logs waits in its memory until somebody polls it. Who polls it only at times lets it log nothing but
# what is fatal; its calls and its `error_cb` report the rest.
UNHEARD: Mapping[str, Property] = {"log_level": 2}

UNREACHED = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001 - the library's own name for it
        KafkaError._TIMED_OUT,  # noqa: SLF001 - as above
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - as above
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - as above
        KafkaError._SSL,  # noqa: SLF001 - as above
        KafkaError._RESOLVE,  # noqa: SLF001 - as above
        KafkaError.REQUEST_TIMED_OUT,
    }
)
"""Codes of a call that failed because no broker was reached: why is told to `error_cb`."""
DENIED: Mapping[int, str] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "a right on a topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "READ on a consumer group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "WRITE on a transactional id",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "a right on the cluster",
}
"""Codes of a call that an authorizer refused, and which right is missing, as far as that alone tells."""

FILES: Mapping[str, str] = {
    "ssl.ca.location": "PROCESSOR_KAFKA__CA_FILE",
    "ssl.certificate.location": "PROCESSOR_KAFKA__CERT_FILE",
    "ssl.key.location": "PROCESSOR_KAFKA__KEY_FILE and PROCESSOR_KAFKA__KEY_PASSWORD",
}
"""Property → where its value is set."""

ClientType = TypeVar("ClientType", Consumer, Producer, AdminClient)


class KafkaConnection(msgspec.Struct, frozen=True):
    """Where the brokers are; `extra` are librdkafka properties, handed on as they are.

    `credentials` returns SASL user and password as they are now, None: those in `extra`, if any, are for good.
    `embedded`: the brokers are librdkafka's mock cluster, which has no admin API.
    """

    bootstrap_servers: str
    extra: Mapping[str, Property] = {}
    embedded: bool = False
    credentials: Callable[[], tuple[str, str] | None] = lambda: None
    causes: Causes = msgspec.field(default_factory=Causes)
    """What its clients were told, shared by all of them."""

    def properties(self, tuned: Mapping[str, Property], required: Mapping[str, Property]) -> dict[str, Any]:
        """Return client properties: `extra` may change tuning, never what correctness depends on."""
        fixed = {"bootstrap.servers": self.bootstrap_servers, "error_cb": self.causes.note}
        now = self.credentials()
        user = {} if now is None else {"sasl.username": now[0], "sasl.password": now[1]}
        return {**RECONNECTING, **tuned, **self.extra, **user, **fixed, **required}

    def renew(self, running: Consumer | Producer) -> None:
        """Hand the current user and password to a client, which uses them for its next connection."""
        now = self.credentials()
        if now is not None:
            running.set_sasl_credentials(*now)

    def cause_of(
        self, failure: BaseException, asked: Consumer | Producer | AdminClient | None = None, *, needs: str = ""
    ) -> str:
        """Return what is known about a failure: librdkafka's words, and what its clients were told where it has none.

        `asked` is the client that failed; it is polled, which hands out what it was told. A consumer that has an
        assignment is not, because that would take a message from it.
        """
        if asked is not None and not (isinstance(asked, Consumer) and asked.assignment()):
            with contextlib.suppress(KafkaException):  # a producer that is past saving says so again
                asked.poll(0)
        return self.explained(cause_of(failure), failure, needs=needs)

    def explained(self, words: str, failure: BaseException | KafkaError, *, needs: str = "") -> str:
        """Return words about a failure with what is known besides: why no broker was reached, or who lacks which right.

        `needs` is the right without which the call is denied.
        """
        error = failure.args[0] if isinstance(failure, KafkaException) and failure.args else failure
        code = error.code() if isinstance(error, KafkaError) else KafkaError.NO_ERROR
        if code in DENIED:
            return f"{self.principal} lacks {needs or DENIED[code]}: processor acls prints how to give it [{words}]"
        if code in UNREACHED or isinstance(failure, TimeoutError):
            why = self.causes.sentence({**self.extra, "bootstrap.servers": self.bootstrap_servers})
            return f"{why} [{words}]" if why else words
        return words

    def watermarks(
        self, consumer: Consumer, topic: str, partition: int, *, timeout_s: float, needs: str = ""
    ) -> Watermarks:
        """Return low watermark and end; for a consumer of committed records the end is the last stable offset.

        Raises SourceUnavailable.
        """
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout_s)
        except KafkaException as failure:
            cause = self.cause_of(failure, consumer, needs=needs)
            raise SourceUnavailable(f"{topic}[{partition}]: no watermarks: {cause}") from failure
        return Watermarks(int(low), int(high))

    @property
    def principal(self) -> str:
        """The principal that the brokers see."""
        return principal_of(self.extra)


def client(kind: type[ClientType], properties: Mapping[str, Any]) -> ClientType:
    """Return a client that logs through `logging`. Raises InvalidRequest when librdkafka rejects a property."""
    try:
        return kind(dict(properties), logger=LOGGER)
    except KafkaException as failure:
        raise not_accepted(cause_of(failure), properties) from failure


def not_accepted(words: str, properties: Mapping[str, Any]) -> InvalidRequest:
    """Return the error for a property that librdkafka rejects; `words` is its message."""
    words = without_secrets(words, properties)
    return InvalidRequest(f"a Kafka property is not accepted: {words}{_hint(words)}")


def _hint(words: str) -> str:
    for name, setting in FILES.items():
        if name in words:
            return f": see {setting}"
    return ""


class ShardTopics(msgspec.Struct, frozen=True):
    """The topics of a shard by role and its partitions of them; `ticked`: the clock writes to the normal one."""

    high: str
    normal: str
    changes: str
    commits: str
    dead_letters: str
    input_partitions: tuple[int, ...]
    output_partition: int
    ticked: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All five topics."""
        return (self.high, self.normal, self.changes, self.commits, self.dead_letters)

    @property
    def inputs(self) -> dict[LaneName, str]:
        """The input topic of each lane."""
        return {"high": self.high, "normal": self.normal}

    @property
    def outputs(self) -> dict[Role, str]:
        """The output topic of each role."""
        return {"changes": self.changes, "commits": self.commits, "dead-letters": self.dead_letters}


def cause_of(failure: BaseException) -> str:
    """Return librdkafka's message about a failure, with the name of its code."""
    error = failure.args[0] if isinstance(failure, KafkaException) and failure.args else None
    return words_of(error) if isinstance(error, KafkaError) else f"{type(failure).__name__}: {failure}"


def words_of(error: KafkaError) -> str:
    """Return an error's text and the name of its code."""
    return f"{error.str()} ({error.name()})"


def code_of(failure: KafkaException) -> int:
    """Return librdkafka's error code of an exception."""
    error: KafkaError = failure.args[0]
    code: int = error.code()
    return code
