"""Whether this process reaches the brokers at all, asked now and then without ever waiting for the answer."""

from concurrent.futures import Future
from time import monotonic
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from processor.kafka.connection import UNHEARD, KafkaConnection, client

ASK_INTERVAL_S = 2.0
TIMEOUT_S = 5.0


class Reach:
    """Asks the brokers who they are; connects when first asked. For one thread."""

    def __init__(
        self, connection: KafkaConnection, *, ask_interval_s: float = ASK_INTERVAL_S, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._connection = connection
        self._ask_interval_s = ask_interval_s
        self._timeout_s = timeout_s
        self._client: AdminClient | None = None
        self._asked: Future[Any] | None = None
        self._asked_s = 0.0
        self._silent_since_s: float | None = None

    def silent_s(self) -> float:
        """Return for how long we have known that the brokers do not answer, 0 when they did the last time.

        The time until the first failure does not count: a process that was stopped for a while was not cut off.
        """
        now_s = monotonic()
        if self._client is not None:
            self._client.poll(0)  # what it was told would pile up while brokers are away
        if self._asked is not None and self._asked.done():
            self._take(self._asked, now_s)
        if self._asked is None and now_s >= self._asked_s + self._ask_interval_s:
            self._ask(now_s)
        return 0.0 if self._silent_since_s is None else now_s - self._silent_since_s

    def close(self) -> None:
        """Let the connection go; safe to call twice."""
        self._client, self._asked, self._silent_since_s = None, None, None

    def _take(self, asked: "Future[Any]", now_s: float) -> None:
        self._asked = None
        failure = asked.exception()
        if failure is None:
            self._silent_since_s = None
        elif isinstance(failure, KafkaException):
            self._silent_since_s = now_s if self._silent_since_s is None else self._silent_since_s
        else:
            raise failure

    def _ask(self, now_s: float) -> None:
        if self._client is None:
            self._client = client(AdminClient, self._connection.properties(UNHEARD, {}))
        self._asked = self._client.describe_cluster(request_timeout=self._timeout_s)
        self._asked_s = now_s
