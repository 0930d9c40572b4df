"""Every command of the command line, met with what makes no sense: a sentence, an exit code, no server asked."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from processor.cli.app import build
from processor.cli.exits import Exit
from tests.cli.conftest import Cli

NOWHERE = "127.0.0.1:1"
WHAT_IT_NEEDS: Mapping[str, list[str]] = {
    "submit": ["ClockTicked", "--data", "{}"],
    "simulate": ["events.jsonl"],
    "state diff": ["now", "now"],
    "state explain": ["model", "iris"],
    "state export": ["state.snapshot"],
    "state import": ["state.snapshot"],
    "commits show": ["1"],
    "dead-letters show": ["normal-0-1"],
    "dead-letters retry": ["--all"],
    "offsets reset": ["--to-earliest", "--all-topics"],
    "rebuild": ["--into", "x"],
    "shards adopt": ["0"],
    "shards accept-gap": ["0", "--topic", "high"],
    "shards announce": ["0"],
    "shards audit": ["0"],
    "schemas decode": ["00"],
    "acls": ["processor"],
}
"""The least arguments with which a command does something, where it needs any."""
NUMBERS = ["", "x", "1.5", "²", "nan", "inf", "-1", "9" * 5000]
FRACTIONS = [(kind, "1.5") for kind in (float, float | None)]
BAD_TEXTS = {
    "--at-seq": ["x", "-1", "9" * 5000, "²x"],
    "--at-revision": ["x", "-1", "9" * 5000],
    "--at-time": ["yesterday", "9" * 5000, "9999-12-31", "99999999999d"],
    "--at-offset": ["high", "high:0", "high:x:1", "high:0:-1", f"high:0:{'9' * 5000}", "cats:0:1"],
    "--to-seq": ["x", "-1", "9" * 5000],
    "--to-time": ["yesterday", "9999-12-31"],
    "--to-offset": ["x", "high:0", "cats:0:1"],
    "--to-datetime": ["yesterday", "9" * 5000],
    "--by-duration": ["15m", "P", f"P{'9' * 400}D", f"PT{'9' * 400}S"],
    "--topic": ["cats", "high:x", f"high:{'9' * 5000}", "high:-1", "high:7"],
    "--from": ["yesterday", "-1", "9" * 5000],
    "--cluster": ["cats", ""],
    "--config": ["/nowhere.toml"],
    "--patch": ["/nowhere.yaml"],
    "--from-file": ["/nowhere.csv"],
    "--output": ["xml", ""],
    "--into": ["", "No Name", "-", "x" * 100],
}
"""Option → values that make no sense; commands that have no such option are left alone."""
ASKED_FIRST = {("--at-offset", "cats:0:1"), ("--to-offset", "cats:0:1")}
"""Right in form: what topics there are is looked at when the shard's past is."""


def _leaves(app: App, *chain: str) -> Iterator[tuple[str, App]]:
    names = [name for name in app if not name.startswith("-")]
    if not names:
        yield " ".join(chain), app
    for name in names:
        yield from _leaves(app[name], *chain, name)


COMMANDS = dict(_leaves(build()))


def _arguments(command: str) -> Iterator[Any]:
    return iter(COMMANDS[command].assemble_argument_collection(parse_docstring=False))


def _bad_numbers() -> Iterator[tuple[str, str, str]]:
    """Yield command, how the number's argument is called, and a value that it does not take: all where it is new."""
    seen: set[tuple[str, str]] = set()
    for command in COMMANDS:
        for argument in _arguments(command):
            if not re.search(r"\b(int|float)\b", str(argument.hint)):
                continue
            positional = "POSITIONAL" in argument.field_info.kind.name
            known = (argument.name, str(argument.hint)) in seen
            seen.add((argument.name, str(argument.hint)))
            for value in NUMBERS[-2:-1] if known else NUMBERS:
                fits = (argument.name, value) == ("--shift-by", "-1") or (argument.hint, value) in FRACTIONS
                if not fits:
                    yield command, argument.name.lstrip("-").upper() if positional else argument.name, value


def _bad_texts() -> Iterator[tuple[str, str, str]]:
    for command in COMMANDS:
        for argument in _arguments(command):
            for name in argument.names:
                for value in BAD_TEXTS.get(name, ()):
                    if str(argument.hint) == "int | None" or (name, value) in ASKED_FIRST:
                        continue
                    yield command, name, value


@pytest.fixture(autouse=True)
def _nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Point every command at servers that do not answer; who asks one of them first is caught by the exit code."""
    monkeypatch.setenv("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", NOWHERE)
    monkeypatch.setenv("PROCESSOR_ETCD__ENDPOINTS", NOWHERE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.jsonl").write_text('{"type": "ClockTicked", "at_ms": 1, "data": {}}\n')


def _refused(cli: Cli, command: str, *tokens: str, names: str) -> None:
    told = cli(*command.split(), *tokens)
    assert (told.code, told.out) == (Exit.USAGE, ""), told
    first, *_ = told.err.splitlines()
    assert first.startswith("error: ")
    assert names in told.err
    assert len(told.err) < 2000, "nobody reads that"
    assert "Traceback" not in told.err


def test_what_a_command_needs_is_listed() -> None:
    needing = {command for command in COMMANDS if any(argument.required for argument in _arguments(command))}
    assert needing <= WHAT_IT_NEEDS.keys() <= COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_named_with_the_usage_of_the_command(cli: Cli, command: str) -> None:
    _refused(cli, command, *WHAT_IT_NEEDS.get(command, []), "--no-such-option", names="--no-such-option")
    err = cli(*command.split(), *WHAT_IT_NEEDS.get(command, []), "--no-such-option").err
    assert f"\nusage: processor {command}" in err
    assert f"\nhelp: processor {command} --help\n" in err


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "dead-letters retry"])
def test_too_many_arguments_are_named(cli: Cli, command: str) -> None:
    extra = [f"extra-{number}" for number in range(4)]
    _refused(cli, command, *WHAT_IT_NEEDS.get(command, []), *extra, names="extra-3")


@pytest.mark.parametrize(
    ("command", "name"),
    [(command, argument.name) for command in COMMANDS for argument in _arguments(command) if argument.required],
)
def test_a_missing_argument_is_named(cli: Cli, command: str, name: str) -> None:
    given = WHAT_IT_NEEDS.get(command, []) if name in {"B", "--NAME", "--topic"} else []
    told = cli(*command.split(), *given[:1])
    assert (told.code, told.out) == (Exit.USAGE, "")
    assert name.lstrip("-").upper() in told.err.splitlines()[0].upper()


@pytest.mark.parametrize(("command", "name", "value"), list(_bad_numbers()))
def test_a_number_out_of_its_bounds_is_refused_at_once(cli: Cli, command: str, name: str, value: str) -> None:
    option = [f"{name}={value}"] if name.startswith("-") else ["--", value]
    needs = WHAT_IT_NEEDS.get(command, [])
    if not name.startswith("-"):
        needs = needs[1:]
    if command == "offsets reset":
        needs = ["--all-topics"]
    if command == "shards accept-gap" and name == "SHARD":
        option, needs = ["--topic", "high", *option], []
    _refused(cli, command, *needs, *option, names=name)


@pytest.mark.parametrize(("command", "name", "value"), list(_bad_texts()))
def test_a_text_that_means_nothing_is_refused_at_once(cli: Cli, command: str, name: str, value: str) -> None:
    needs = list(WHAT_IT_NEEDS.get(command, []))
    if name in {"--to-datetime", "--by-duration", "--from-file"}:
        needs.remove("--to-earliest")
    if name in {"--topic", "--from-file"} and "--all-topics" in needs:
        needs.remove("--all-topics")
    if name in needs:
        needs = needs[: needs.index(name)]
    told = cli(*command.split(), *needs, f"{name}={value}")
    assert told.code == Exit.USAGE, told
    assert told.out == ""
    assert any(word in told.err for word in (name, name.lstrip("-"), value or "''")), told.err
    assert len(told.err) < 2000
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (["offsets", "reset", "--to-earliest", "--to-latest"], "--to-earliest and --to-latest are given"),
        (["offsets", "reset", "--to-offset=1", "--shift-by=0"], "--to-offset and --shift-by are given"),
        (["offsets", "reset", "--all-topics"], "where to?"),
        (["replay", "--to-seq", "1", "--to-time", "1m"], "one target at a time: --to-seq"),
        (["state", "get", "--at-seq", "1", "--at-time", "1m"], "one point at a time: --at-seq"),
        (["state", "get", "cats"], "there is no kind 'cats': policy"),
        (["state", "get", "cats/x"], "there is no kind 'cats': policy"),
        (["state", "explain", "cats", "x"], "there is no kind 'cats': policy"),
        (["state", "explain", "model"], "NAME is missing"),
        (["shards", "adopt", "7"], "there is no shard 7: the clusters make shards 0 to 0"),
        (["submit", "ClockTicked"], "TYPE with --data"),
        (["nope"], 'Unknown command "nope"'),
        (["state", "nope"], 'Unknown command "nope"'),
    ],
)
def test_what_contradicts_itself_or_is_not_there_is_said(cli: Cli, tokens: list[str], sentence: str) -> None:
    _refused(cli, "", *tokens, names=sentence)


@pytest.mark.parametrize(
    "tokens",
    [
        ["simulate", "nowhere"],
        ["simulate", "events.jsonl", "--state", "nowhere"],
        ["submit", "-f", "nowhere"],
        ["state", "import", "nowhere"],
        ["topics", "plan", "--patch", "nowhere"],
        ["offsets", "reset", "--from-file", "nowhere"],
        ["replay", "--from-snapshot", "nowhere"],
        ["replay", "--with-events", "nowhere", "--at-seq", "1"],
    ],
    ids=" ".join,
)
def test_a_file_that_cannot_be_read_is_named_at_once(cli: Cli, tokens: list[str]) -> None:
    for name in ("nowhere", "."):
        told = cli(*[name if word == "nowhere" else word for word in tokens])
        assert (told.code, told.out) == (Exit.USAGE, ""), told
        assert f"cannot read {name}: " in told.err


@pytest.mark.parametrize("value", ["nope", "nope:x", "json:nope", "json:dumps", "..x:y", "datetime:date", ":", ""])
def test_a_state_machine_that_is_none_is_refused_at_once(cli: Cli, value: str) -> None:
    _refused(cli, "replay", f"--reducer={value}", names="--reducer")


def test_an_unknown_event_type_is_told_with_the_nearest_and_all_that_there_are(cli: Cli) -> None:
    told = cli("submit", "ModelLoadRequest", "--data", "{}")
    assert (told.code, told.out) == (Exit.INVALID_DATA, "")
    assert "no event type 'ModelLoadRequest'; the nearest one is ModelLoadRequested" in told.err
    assert "PolicyChanged" in told.err
