from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.play import Play
from tests.integration.stage import Stage
from tests.services import Etcd, Kafka

Note = Callable[[str], None]


@pytest.fixture
def note(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Note:
    """Write a measured fact into the report: printed with -s and kept in the JUnit file, never asserted."""

    def write(fact: str) -> None:
        record_property("measured", fact)
        request.node.add_report_section("call", "measured", fact)
        print(f"\n{request.node.name}: {fact}")  # noqa: T201 - what was measured is for people

    return write


@pytest.fixture
def stage(kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path) -> Iterator[Stage]:
    """Topics, an etcd prefix and a log folder of one test's own."""
    built = Stage(namespace, kafka.bootstrap, etcd.endpoint, tmp_path)
    built.build()
    yield built
    built.strike()


@pytest.fixture
def play(stage: Stage) -> Iterator[Play]:
    """A producer, a consumer that reads along, and the checker, on the stage."""
    begun = Play(stage)
    yield begun
    begun.close()
