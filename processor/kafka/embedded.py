"""A broker inside this process: librdkafka's mock cluster, for trying things out with only Python.

It has four partitions a topic, no admin API and no retention; topics appear at first use. It accepts transactions
but neither fences nor hides: no test of fencing, aborts or take-over uses it.
"""

from collections.abc import Sequence

from confluent_kafka import Producer

from processor.kafka.connection import KafkaConnection, Property, client
from processor.runtime.closing import Closing

PARTITIONS = tuple(range(4))
"""The partitions of every topic; the embedded shard reads all of them and writes the first."""

TUNED: dict[str, Property] = {"fetch.wait.max.ms": 5}
"""This broker answers a fetch when its wait is over, not when a record arrives."""

ANSWER_TIMEOUT_S = 10.0


class EmbeddedKafka(Closing):
    """One broker on a loopback port; it lives until it is closed, so close its clients first."""

    def __init__(self) -> None:
        self._handle: Producer | None = client(Producer, {"test.mock.num.brokers": 1})
        brokers = self._handle.list_topics(timeout=ANSWER_TIMEOUT_S).brokers.values()
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def connection(self) -> KafkaConnection:
        """Return how the clients of this process reach it."""
        return KafkaConnection(self.bootstrap_servers, extra=TUNED, embedded=True)

    def use_topics(self, names: Sequence[str]) -> None:
        """Create topics by using them."""
        user = client(Producer, {"bootstrap.servers": self.bootstrap_servers})
        for name in names:
            user.list_topics(name, timeout=ANSWER_TIMEOUT_S)

    def close(self) -> None:
        """End the broker and forget its records; safe to call twice."""
        self._handle = None
