from collections.abc import Iterator

import pytest

from tests.contracts.broker_world import KafkaWorld
from tests.services import Kafka


@pytest.fixture
def world(kafka: Kafka, namespace: str) -> Iterator[KafkaWorld]:
    """A shard's topics on the session's broker, under names of their own."""
    opened = KafkaWorld(kafka.bootstrap, namespace)
    yield opened
    opened.close()
