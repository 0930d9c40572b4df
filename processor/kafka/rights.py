"""Rights of a principal: the minimal sets, and a query for those that are missing.

Kafka tells a client its own rights on a topic or a group without anything being written. A transactional id has no such
question: whoever initialises its transactions is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Literal

import msgspec
from confluent_kafka import KafkaError, KafkaException

from processor.engine.announcements import Role
from processor.engine.errors import SourceUnavailable
from processor.kafka.connection import KafkaConnection, ShardTopics, code_of
from processor.kafka.describer import ANSWER_MARGIN_S, DescribedTopic, TopicDescriber

TIMEOUT_S = 10.0

Resource = Literal["TOPIC", "GROUP", "TRANSACTIONAL_ID"]
Operation = Literal["READ", "WRITE", "CREATE", "ALTER", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"]
Pattern = Literal["LITERAL", "PREFIXED"]
Audience = Literal["processor", "producer", "consumer", "operator"]

INPUTS: tuple[Role, ...] = ("high", "normal")
OUTPUTS: tuple[Role, ...] = ("changes", "commits", "dead-letters")
OPTIONS: Mapping[Resource, str] = {"TOPIC": "topic", "GROUP": "group", "TRANSACTIONAL_ID": "transactional-id"}
TOOLS = "processor-"
"""Beginning of the group names that commands and client libraries use; they commit nothing there."""


class Right(msgspec.Struct, frozen=True):
    """One operation on one resource; PREFIXED: on all resources whose names begin so."""

    resource: Resource
    name: str
    operation: Operation
    pattern: Pattern = "LITERAL"

    def __str__(self) -> str:
        kind = OPTIONS[self.resource].replace("-", " ")
        return f"{self.operation} on {kind} {self.name}{'*' if self.pattern == 'PREFIXED' else ''}"

    @property
    def operation_name(self) -> str:
        """The name of the operation in Kafka's tools."""
        return "".join(word.capitalize() for word in self.operation.split("_"))

    def command(self, principal: str, servers: str) -> str:
        """Return the command that grants it to a principal."""
        pattern = " --resource-pattern-type prefixed" if self.pattern == "PREFIXED" else ""
        resource = f"--{OPTIONS[self.resource]} '{self.name}'{pattern}"
        who = f"--allow-principal '{principal}' --operation {self.operation_name}"
        return f"kafka-acls.sh --bootstrap-server {servers} --add {who} {resource}"


def rights_of(audience: Audience, topics: Mapping[Role, str], app: str) -> list[Right]:
    """Return the minimal rights of a processor, a producer, a consumer or an operator."""
    match audience:
        case "processor":
            return list(_processor(topics, app))
        case "producer":
            sent = [Right("TOPIC", topics[role], "WRITE") for role in INPUTS]
            return sent + [Right("TOPIC", topics[role], "READ") for role in OUTPUTS]
        case "consumer":
            return [Right("TOPIC", topics["changes"], "READ"), Right("GROUP", TOOLS, "READ", "PREFIXED")]
        case "operator":
            return list(_operator(topics, app))


def shard_rights(topics: ShardTopics, writer: str) -> list[Right]:
    """Return the rights on single topics and groups without which a shard cannot be run; `writer` names it."""
    names: dict[Role, str] = {"high": topics.high, "normal": topics.normal, **topics.outputs}
    needed = [right for right in _processor(names, "") if right.pattern == "LITERAL"]
    clock = Right("TOPIC", topics.normal, "WRITE")
    tails = Right("GROUP", tails_group(writer), "READ")
    return [right for right in needed if topics.ticked or right != clock] + [tails]


def missing_rights(
    connection: KafkaConnection,
    needed: Sequence[Right],
    *,
    timeout_s: float = TIMEOUT_S,
    describer: TopicDescriber | None = None,
) -> list[Right]:
    """Return the rights on topics and groups that this connection's principal lacks.

    What the brokers do not tell counts as given: a topic that does not exist, a broker that knows no such question.
    Raises SourceUnavailable.
    """
    if describer is None:
        with TopicDescriber(connection) as own:
            return missing_rights(connection, needed, timeout_s=timeout_s, describer=own)
    topics = sorted({right.name for right in needed if right.resource == "TOPIC"})
    groups = sorted({right.name for right in needed if right.resource == "GROUP" and right.pattern == "LITERAL"})
    answers = describer.ask(topics, timeout_s, groups=groups, rights=True)
    try:
        allowed = {name: _allowed(answer, timeout_s) for name, answer in answers.items()}
    except (KafkaException, TimeoutError) as failure:
        cause = connection.cause_of(failure)
        raise SourceUnavailable(f"Kafka: what may be done there cannot be asked: {cause}") from failure
    return [right for right in needed if _is_missing(right, allowed.get(_asked_as(right)))]


def lacking(connection: KafkaConnection, missing: Sequence[Right]) -> str:
    """Return the principal and the missing rights, and the command that grants the first."""
    principal, servers = connection.principal, connection.bootstrap_servers
    listed = ", ".join(map(str, missing))
    more = "; processor acls prints all" if len(missing) > 1 else ""
    return f"{principal} lacks {listed}; an administrator gives it with: {missing[0].command(principal, servers)}{more}"


def tails_group(writer: str) -> str:
    """Return the consumer group under which a shard's outputs are read; it commits nothing."""
    return f"{writer}-tails"


def _processor(topics: Mapping[Role, str], app: str) -> Iterator[Right]:
    yield from (Right("TOPIC", topics[role], "READ") for role in INPUTS)
    yield Right("TOPIC", topics["normal"], "WRITE")
    for role in OUTPUTS:
        yield from (Right("TOPIC", topics[role], operation) for operation in ("READ", "WRITE", "DESCRIBE_CONFIGS"))
    yield Right("GROUP", f"{app}-", "READ", "PREFIXED")
    yield Right("TRANSACTIONAL_ID", f"{app}-", "WRITE", "PREFIXED")


def _operator(topics: Mapping[Role, str], app: str) -> Iterator[Right]:
    operations: tuple[Operation, ...] = ("READ", "WRITE", "CREATE", "ALTER", "DESCRIBE_CONFIGS", "ALTER_CONFIGS")
    for role in (*INPUTS, *OUTPUTS):
        yield from (Right("TOPIC", topics[role], operation) for operation in operations)
    yield Right("GROUP", f"{app}-", "READ", "PREFIXED")
    yield Right("GROUP", TOOLS, "READ", "PREFIXED")
    yield Right("TRANSACTIONAL_ID", f"{app}-", "WRITE", "PREFIXED")


def _asked_as(right: Right) -> str:
    return f"group:{right.name}" if right.resource == "GROUP" else right.name


def _allowed(answer: "Future[DescribedTopic]", timeout_s: float) -> frozenset[str] | None:
    """Return the operations that are allowed, None when that is not told."""
    try:
        operations = answer.result(timeout_s + ANSWER_MARGIN_S).allowed
    except KafkaException as failure:
        if code_of(failure) in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}:
            return frozenset()
        if code_of(failure) in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND}:
            return None
        raise
    return None if operations is None else frozenset(operations)


def _is_missing(right: Right, allowed: frozenset[str] | None) -> bool:
    if right.resource == "TRANSACTIONAL_ID":
        return False
    return allowed is not None and not {right.operation, "ALL"} & allowed
