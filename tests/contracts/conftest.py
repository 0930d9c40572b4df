from collections.abc import Iterator

import pytest

from tests.contracts.broker_world import KafkaWorld, MemoryWorld, World


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.services)])
def world(request: pytest.FixtureRequest, namespace: str) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld(namespace)
        return
    world = KafkaWorld(request.getfixturevalue("kafka").bootstrap, namespace)
    yield world
    world.close()
