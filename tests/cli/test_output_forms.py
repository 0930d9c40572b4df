"""Every command with `-o`: each form is what it says it is, from a processor that has done something."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.cli.exits import Exit
from tests.cli.conftest import Cli

LOCAL = [["schemas", "list"], ["schemas", "check"], ["config", "show"], ["version"]]
OF_STORE = [
    ["state", "get"],
    ["state", "get", "models"],
    ["state", "get", "model", "iris"],
    ["state", "get", "policy", "cluster"],
    ["state", "explain", "model", "iris"],
    ["state", "diff", "seq:0", "now"],
    ["shards", "list"],
    ["shards", "audit", "0"],
    ["status"],
    ["doctor"],
]
OF_TOPICS = [
    ["events", "tail"],
    ["events", "tail", "--topic", "normal"],
    ["commits", "list"],
    ["commits", "show", "1"],
    ["dead-letters", "list"],
    ["offsets", "show"],
    ["topics", "plan"],
    ["topics", "check"],
    ["replay"],
    ["replay", "--verify"],
    ["replay", "--without", "first"],
    ["rebuild", "--into", "fix"],
    ["offsets", "reset", "--to-earliest", "--topic", "normal"],
]
NAMES = {
    "state get": ["policy/cluster", "server/s1", "model/iris"],
    "state get models": ["model/iris"],
    "state get model iris": ["model/iris"],
    "state get policy cluster": ["policy/cluster"],
    "state explain model iris": ["model/iris"],
    "state diff seq:0 now": ["model/iris", "server/s1"],
    "rebuild --into fix": [],
    "commits show 1": ["1"],
    "version": ["processor", "python", "reducer_version"],
}
"""The first names that a command prints, sorted by kind or as they stand there."""


def _json(out: str) -> list[Any]:
    """Return one document, or one a line."""
    try:
        return [json.loads(out)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in out.splitlines()]


def _is_table(out: str) -> bool:
    first = out.splitlines()[0] if out else ""
    return not first.startswith(("{", "[", "- ", "---"))


FORMS: dict[str, Callable[[str], object]] = {
    "json": _json,
    "yaml": lambda out: list(yaml.safe_load_all(out)) or not out,
    "name": lambda out: not any("  " in line or not line for line in out.splitlines()),
    "table": _is_table,
}


def _check(cli: Cli, command: list[str]) -> None:
    found: dict[str, Any] = {}
    for form, is_so in FORMS.items():
        told = cli(*command, "-o", form)
        assert told.code in {Exit.OK, Exit.DIFFERS}, told
        assert is_so(told.out) is not False, (form, told.out)
        found[form] = told.out
    assert found["table"] != found["yaml"]
    wanted = NAMES.get(" ".join(command))
    if wanted is not None:
        assert sorted(found["name"].splitlines()[: len(wanted)]) == sorted(wanted)


@pytest.mark.parametrize("command", LOCAL, ids=" ".join)
def test_what_needs_no_server_prints_what_was_asked_for(cli: Cli, command: list[str]) -> None:
    _check(cli, command)


@pytest.mark.slow
def test_what_was_recorded_is_printed_as_asked_for(servers: dict[str, str], cli: Cli, tmp_path: Path) -> None:
    del servers
    lines = tmp_path / "events.jsonl"
    events = [
        {"type": "ServerReplicaConnected", "data": {"server": "s1", "replica": 0, "memory": 1000}},
        {"id": "first", "type": "ModelLoadRequested", "data": {"model": "iris", "generation": 2, "spec": {"uri": "a"}}},
        {"type": "ModelLoadRequested", "data": {"model": "iris", "generation": 1, "spec": {"uri": "a"}}},
    ]
    lines.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    assert cli("topics", "apply").code == Exit.OK
    assert cli("submit", "-f", str(lines), "-o", "name").code == Exit.OK
    assert cli("run", "--once").code == Exit.OK
    for command in (*OF_STORE, *OF_TOPICS):
        _check(cli, command)
    told = [(event["type"], event["id"], event["outcome"], event["code"]) for event in _events(cli)]
    assert told == [
        ("ServerReplicaConnected", told[0][1], "applied", None),
        ("ModelLoadRequested", "first", "applied", None),
        ("ModelLoadRequested", told[2][1], "rejected", "stale_generation"),
    ]


def _events(cli: Cli) -> list[dict[str, Any]]:
    """Return the events of all commits, as `commits show` tells them."""
    seqs = cli("commits", "list", "-o", "name").out.split()
    return [event for seq in seqs for event in cli("commits", "show", seq, "-o", "json").json["events"]]
