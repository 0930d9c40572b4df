import pytest

from tests.replay.shard import Past, Shard, lived


@pytest.fixture(scope="session")
def shard() -> Shard:
    """Return a shard with a past, for tests that only read it."""
    return lived()


@pytest.fixture
def past(shard: Shard) -> Past:
    """Copy the shard's topics, for a test to alter."""
    return shard.past()
