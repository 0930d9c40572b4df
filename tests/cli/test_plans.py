from collections.abc import Iterator

import pytest

from processor.cli.exits import Exit
from processor.kafka.embedded import EmbeddedKafka
from tests.cli.conftest import Cli

COMMANDS = (
    ("offsets", "show"),
    ("offsets", "reset", "--all-topics", "--to-earliest"),
    ("shards", "accept-gap", "0", "--topic", "high", "--to", "0"),
    ("shards", "announce", "0"),
)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kafka = EmbeddedKafka()
    monkeypatch.setenv("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", kafka.connection().bootstrap_servers)
    yield
    kafka.close()


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("words", COMMANDS)
def test_an_embedded_broker_has_nothing_to_mend(cli: Cli, words: tuple[str, ...]) -> None:
    told = cli(*words)
    assert (told.code, told.out) == (Exit.USAGE, "")
    assert told.err.startswith("error: not for an embedded processor: ")


@pytest.mark.parametrize("words", [("adopt", "7"), ("audit", "-1"), ("announce", "1"), ("accept-gap", "1")])
def test_a_shard_that_is_not_there_is_asked_for_in_vain(cli: Cli, words: tuple[str, ...]) -> None:
    more = ("--topic", "high", "--to", "0") if words[0] == "accept-gap" else ()
    told = cli("shards", *words, *more)
    assert told.code == Exit.USAGE
