"""The program of a process of its own that asks the brokers about topics; `TopicDescriber` starts it and talks to it.

librdkafka ends the process when a broker answers such a question without naming any broker or topic (a single broker
that was fenced while it was frozen does), or with an error instead: `DescribeTopics` and `DescribeCluster` then assert
a result that they have not made. Here that costs one answer. It is run by its path and imports nothing of ours.

One JSON object a line. In: first the client's properties, then questions `{"id", "names", "timeout_s", "groups",
"rights"}`. Out, once a question: `{"id", "topics": {name: [topic id, partitions, replicas, operations] or error}}`;
an error is [code, text];
the operations that are allowed are null unless `rights` asks for them. A consumer group is described as a topic whose
name is `group:` and its own. `{"credentials": [user, password]}` instead of a question has no answer.
"""

import json
import os
import resource
import signal
import sys
import threading
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

LISTEN_S = 10.0
WRITING = threading.Lock()


def main() -> None:
    """Answer until the input ends, which happens when the asking process ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; whoever asks is to finish first
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    clients = _Clients(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        question = json.loads(line)
        if "credentials" in question:
            clients.authenticate(*question["credentials"])
            continue
        try:
            client = clients.current()
        except KafkaException as failure:
            _write({"id": question["id"], "refused": f"{failure.args[0].str()} ({failure.args[0].name()})"})
        else:
            threading.Thread(target=_answer, args=(clients, client, question), daemon=True).start()
    os._exit(0)  # nothing is to be closed in order, and closing may wait


class _Clients:
    """One client at a time, replaced if it did not get an answer in time.

    Once, after Kafka had been frozen and thawed, a client answered every question for 90 s with "waiting for
    controller" though Kafka was well. What brought it there is not known; another client costs a connection.
    """

    def __init__(self, properties: dict[str, Any]) -> None:
        self._properties = properties
        self._client: AdminClient | None = None

    def current(self) -> AdminClient:
        """Return the client to ask with. Raises KafkaException when a property is not accepted."""
        client = self._client
        if client is None:
            client = self._client = AdminClient({**self._properties, "error_cb": _tell})
            threading.Thread(target=self._listen, args=(client,), daemon=True).start()
        return client

    def doubt(self, client: AdminClient) -> None:
        """Use another client from now on."""
        if self._is_current(client):
            self._client = None

    def authenticate(self, username: str, password: str) -> None:
        """Use these SASL credentials from now on."""
        self._properties |= {"sasl.username": username, "sasl.password": password}
        if self._client is not None:
            self._client.set_sasl_credentials(username, password)

    def _listen(self, client: AdminClient) -> None:
        """Hand on what the client is told, until it is replaced; then it goes, its answers being done."""
        while self._is_current(client):
            client.poll(LISTEN_S)

    def _is_current(self, client: AdminClient) -> bool:
        return self._client is client


def _tell(error: KafkaError) -> None:
    _write({"error": [error.code(), error.str()]})


def _answer(clients: _Clients, client: AdminClient, question: dict[str, Any]) -> None:
    groups = [f"group:{group}" for group in question["groups"]]
    options = {"request_timeout": question["timeout_s"], "include_authorized_operations": question["rights"]}
    try:
        asked = dict(client.describe_topics(TopicCollection(question["names"]), **options))  # the library keeps its own
        if groups:
            described = client.describe_consumer_groups(question["groups"], **options)
            asked |= {f"group:{group}": future for group, future in described.items()}
        topics = {name: _outcome(future) for name, future in asked.items()}
    except KafkaException as failure:
        topics = dict.fromkeys([*question["names"], *groups], _failed(failure))
    if any(outcome[0] == KafkaError._TIMED_OUT for outcome in topics.values()):  # noqa: SLF001 - its own name for it
        clients.doubt(client)
    _write({"id": question["id"], "topics": topics})


def _outcome(future: Any) -> list[Any]:
    try:
        described = future.result()
    except KafkaException as failure:
        return _failed(failure)
    operations = described.authorized_operations
    allowed = None if not operations else [operation.name for operation in operations]
    if isinstance(described, ConsumerGroupDescription):
        return [described.group_id, 0, 0, allowed]
    replicas = min((len(partition.replicas) for partition in described.partitions), default=0)
    return [str(described.topic_id), len(described.partitions), replicas, allowed]


def _failed(failure: KafkaException) -> list[Any]:
    return [failure.args[0].code(), failure.args[0].str()]


def _write(answer: dict[str, Any]) -> None:
    with WRITING:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
