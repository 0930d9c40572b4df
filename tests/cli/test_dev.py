import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from processor.cli.app import run
from processor.cli.exits import Exit
from processor.demo.acts import ACTS
from tests.cli.conftest import Cli

DEV = [sys.executable, "-m", "processor", "dev"]


@pytest.fixture(scope="module")
def played() -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*DEV, "--demo", "--for", "5", "-o", "json"], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_demo_ends_with_one_json_document_on_stdout(played: "subprocess.CompletedProcess[str]") -> None:
    assert played.returncode == Exit.OK, played.stderr
    summary: dict[str, Any] = json.loads(played.stdout)
    assert sorted(summary) == [
        *("acts", "changes", "commits", "dead_lettered", "digest", "events", "high_first", "rejected"),
    ]
    assert summary["acts"].keys() == {act.title for act in ACTS}
    assert any(summary["acts"].values())
    assert summary["events"] > 1200
    assert summary["commits"] > 10
    assert summary["changes"] > 50
    assert summary["rejected"] >= 2
    assert summary["dead_lettered"] == 1
    assert len(summary["digest"]) == 32


def test_high_events_overtake_the_flood_on_the_normal_topic(played: "subprocess.CompletedProcess[str]") -> None:
    assert json.loads(played.stdout)["high_first"] >= 1


def test_the_feed_and_the_banner_are_on_stderr_then(played: "subprocess.CompletedProcess[str]") -> None:
    assert "export PROCESSOR_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:" in played.stderr
    assert "The broker is not Kafka" in played.stderr
    assert "+ model/iris  added" in played.stderr
    assert "dead letter: undecodable" in played.stderr
    assert "Traceback" not in played.stderr


def test_without_the_demo_it_waits_for_events_and_ends_well() -> None:
    done = subprocess.run([*DEV, "--for", "1"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "0 events in 0 commits" in done.stdout) == (Exit.OK, True), done.stderr


def test_one_address_alone_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.delenv("PROCESSOR_ETCD__ENDPOINTS", raising=False)
    assert run(["dev"]) == Exit.USAGE
    assert "only kafka.bootstrap_servers is set" in capsys.readouterr().err


class Embedded(msgspec.Struct, frozen=True):
    bootstrap_servers: str
    server: str


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    process = subprocess.Popen([*DEV, "--http", ":0"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    found: dict[str, str] = {}
    for line in process.stderr:
        for name, pattern in (("bootstrap_servers", r"BOOTSTRAP_SERVERS=(\S+)"), ("server", r"url=(\S+)")):
            if match := re.search(pattern, line):
                found[name] = match[1]
        if "shard_taken_over" in line:
            break
    yield Embedded(**found)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == Exit.OK, rest


def test_a_client_talks_to_the_embedded_processor(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, embedded: Embedded
) -> None:
    monkeypatch.setenv("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", embedded.bootstrap_servers)
    monkeypatch.setenv("PROCESSOR_SERVER", embedded.server)
    lines = tmp_path / "events.jsonl"
    event = {"type": "ModelLoadRequested", "data": {"model": "iris", "generation": 1, "spec": {"uri": "s3://x"}}}
    lines.write_text(f"{json.dumps(event)}\n" * 2500)
    told = cli("submit", "-f", str(lines), "--wait", "-o", "json")
    assert told.code == Exit.OK, told.err
    assert Counter(row["outcome"] for row in told.json) == {"applied": 1, "unchanged": 2499}
    assert cli("state", "get", "models", "-o", "name").out == "model/iris\n"
    assert cli("status").code == Exit.OK
    assert cli("commits", "list", "-o", "json").json[0]["changed"] == 2
    topics = cli("topics", "check")
    assert (topics.code, "embedded" in topics.err) == (Exit.USAGE, True)
