from collections.abc import Iterator

import pytest

from tests.security.lab import Lab, build


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One secured Kafka for the session; tests use users and topics of their own."""
    built = build(tmp_path_factory.mktemp("lab"))
    yield built
    built.close()
