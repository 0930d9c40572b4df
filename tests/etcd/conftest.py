from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.store_worlds import EtcdWorld, owned


@pytest.fixture
def world(etcd: Any, namespace: str) -> Iterator[EtcdWorld]:
    """One shard in the session's etcd, under a prefix of its own."""
    opened = EtcdWorld(etcd.endpoint, namespace)
    yield opened
    opened.close()


@pytest.fixture
def epoch(world: EtcdWorld) -> int:
    """The epoch under which an instance owns the world's shard."""
    return owned(world.ownership("first").campaign())
