"""What `rebuild` is asked that makes no sense; what it does is held against real servers elsewhere."""

import pytest

from processor.cli.exits import Exit
from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--into", "Fix it"), "'Fix it' is not a valid name of a shadow"),
        (("--into", "../fix"), "is not a valid name of a shadow"),
        (("--into", "fix", "--promote", "--abort"), "--promote or --abort, not both"),
        (("--into", "fix", "--execute"), "--execute requires --promote"),
        (("--into", "fix", "--shard", "3"), "there is no shard 3: the clusters make shards 0 to 0"),
        ((), "--into"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_reached(
    cli: Cli, options: tuple[str, ...], said: str
) -> None:
    told = cli("rebuild", *options)
    assert (told.code, said in told.err, told.out) == (Exit.USAGE, True, ""), told.err


def test_of_several_shards_one_is_to_be_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSOR_CLUSTERS", "north,south")
    told = cli("rebuild", "--into", "fix")
    assert (told.code, "which shard? --shard 0 to 1" in told.err) == (Exit.USAGE, True)


def test_brokers_that_are_away_are_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert cli("rebuild", "--into", "fix").code == Exit.UNREACHABLE
