import io
import json
from pathlib import Path
from typing import Any

import pytest

from processor.cli.app import run
from processor.cli.exits import Exit

CONNECTED = {"type": "ServerReplicaConnected", "at_ms": 1000, "data": {"server": "s1", "replica": 0, "memory": 1000}}
LOAD = {"type": "ModelLoadRequested", "at_ms": 2000, "data": {"model": "iris", "spec": {"uri": "s3://x"}}}
LOADED = {
    "type": "ModelReplicaLoaded",
    "at_ms": 3000,
    "data": {"model": "iris", "version": 1, "server": "s1", "replica": 0, "available_memory": 900},
}


def _write(path: Path, *lines: object) -> str:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


def _simulated(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(["simulate", *arguments]) == Exit.OK
    return json.loads(capsys.readouterr().out)


def test_events_become_a_state_changes_and_rejections(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = _write(tmp_path / "events.jsonl", CONNECTED, "nonsense", "", LOAD)
    document = _simulated(capsys, events)
    assert sorted(document) == ["changes", "rejected", "state"]
    assert document["state"]["models"]["iris"]["versions"][0]["status"] == "Progressing"
    assert [(change["batch"], change["kind"]) for change in document["changes"]] == [(0, "server"), (2, "model")]
    assert [(one["index"], one["type"], one["code"]) for one in document["rejected"]] == [(1, "", "invalid_event")]


def test_a_line_that_is_no_utf_8_is_an_event_refused_in_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join((json.dumps(CONNECTED).encode(), b'{"type": "\xff"}', json.dumps(LOAD).encode())))
    document = _simulated(capsys, str(events))
    assert [(one["index"], one["type"], one["code"]) for one in document["rejected"]] == [(1, "", "invalid_event")]
    assert "iris" in document["state"]["models"]


def test_a_batch_makes_one_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = _write(tmp_path / "events.jsonl", CONNECTED, LOAD, LOADED)
    changes = _simulated(capsys, events, "--batch", "3")["changes"]
    assert [(change["batch"], change["op"]) for change in changes] == [(0, "create"), (0, "create")]


def test_a_run_goes_on_from_the_state_of_an_earlier_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = _simulated(capsys, _write(tmp_path / "whole.jsonl", CONNECTED, LOAD, LOADED))
    first = _simulated(capsys, _write(tmp_path / "first.jsonl", CONNECTED, LOAD))
    for earlier in (first, first["state"]):
        state = tmp_path / "state.json"
        state.write_text(json.dumps(earlier))
        rest = _simulated(capsys, _write(tmp_path / "rest.jsonl", LOADED), "--state", str(state))
        assert rest["state"] == whole["state"]


def test_events_may_come_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(CONNECTED).encode())))
    assert "s1" in _simulated(capsys, "-")["state"]["servers"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085"])
def test_a_line_ends_at_a_line_feed_and_nowhere_else(
    separator: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = f"one{separator}two"
    lost = {
        "type": "ServerReplicaDisconnected",
        "at_ms": 2000,
        "data": {"server": "s1", "replica": 0, "reason": reason},
    }
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\r\n".join(json.dumps(line, ensure_ascii=False).encode() for line in (CONNECTED, lost)))
    document = _simulated(capsys, str(path))
    assert (document["rejected"], document["state"]["servers"]) == ([], {})


def test_a_carriage_return_alone_is_a_space_between_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(json.dumps(CONNECTED).replace(", ", ",\r").encode())
    assert _simulated(capsys, str(path))["rejected"] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere.jsonl"], Exit.USAGE),
        (["events.jsonl", "--batch", "0"], Exit.USAGE),
        (["events.jsonl", "--state", "events.jsonl"], Exit.INVALID_DATA),
        (["events.jsonl", "--state", "cats.json"], Exit.INVALID_DATA),
        (["events.jsonl", "--state", "binary"], Exit.INVALID_DATA),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(
    arguments: list[str],
    code: Exit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(Path("events.jsonl"), CONNECTED, LOAD)
    Path("cats.json").write_text('{"cats": {}}')
    Path("binary").write_bytes(b"\xff\xfe")
    assert run(["simulate", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("error: ") == 1
