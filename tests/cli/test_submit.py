from pathlib import Path

import pytest

from processor.cli.exits import Exit
from tests.cli.conftest import Cli

EVENT = '{"type": "ModelUnloadRequested", "data": {"model": "iris"}}'


@pytest.mark.parametrize(
    "tokens",
    [
        ["submit"],
        ["submit", "ModelUnloadRequested"],
        ["submit", "--data", "{}"],
        ["submit", "ModelUnloadRequested", "--data", "{}", "--file", "x.jsonl"],
        ["submit", "--file", "nowhere.jsonl"],
    ],
)
def test_it_takes_one_event_or_a_file(tokens: list[str], cli: Cli) -> None:
    assert cli(*tokens).code == Exit.USAGE


@pytest.mark.parametrize("rest", [[], ["--data", "{}"], ["--file", "x.jsonl"]])
def test_a_type_that_does_not_exist_is_named_whatever_else_is_missing(rest: list[str], cli: Cli) -> None:
    told = cli("submit", "modelloadrequested", *rest)
    expected = "there is no event type 'modelloadrequested'; the nearest one is ModelLoadRequested. There are "
    assert (told.code, expected in told.err) == (Exit.INVALID_DATA, True)


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        '{"data": {}}',
        '{"type": "ModelUnloadRequested", "data": []}',
        '{"type": "ModelUnloadRequested", "data": {"model": "iris"}, "colour": "red"}',
        '{"type": "ModelUnloadRequested", "data": {"model": "iris"}, "at_ms": 0}',
        '{"type": "ModelUnloadRequested", "data": {"model": "iris"}, "at_ms": 1.5}',
        '{"type": "Nonsense", "data": {}}',
        '{"type": "ModelUnloadRequested", "data": {"model": "Not A Name"}}',
    ],
)
def test_a_wrong_line_is_named_before_anything_is_sent(line: str, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f"{EVENT}\n\n{line}\n")
    told = cli("submit", "--file", str(path))
    assert (told.code, told.out) == (Exit.INVALID_DATA, "")
    assert told.err.startswith(f"error: {path}:3: ")


def test_data_that_is_no_json_is_invalid(cli: Cli) -> None:
    assert cli("submit", "ModelUnloadRequested", "--data", "{").code == Exit.INVALID_DATA


def test_brokers_that_are_away_are_exit_three(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    told = cli("submit", "ModelUnloadRequested", "--data", '{"model": "iris"}')
    assert (told.code, "127.0.0.1:1 does not answer" in told.err) == (Exit.UNREACHABLE, True)


def test_a_line_ends_at_a_line_feed_and_nowhere_else(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lost = '{"type": "ServerReplicaDisconnected", "data": {"server": "s1", "replica": 0, "reason": "one\u2028two"}}'
    path.write_text(f"{lost}\nnonsense\n", encoding="utf-8")
    told = cli("submit", "--file", str(path))
    assert (told.code, f"{path}:2" in told.err) == (Exit.INVALID_DATA, True)
