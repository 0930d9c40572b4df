import json
import subprocess
import sys
from typing import Any

import pytest

from processor.cli.app import run
from processor.cli.exits import Exit

DEV = [sys.executable, "-m", "processor", "dev"]


@pytest.fixture(scope="module")
def played() -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*DEV, "--demo", "--for", "5", "-o", "json"], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_demo_ends_with_one_json_document_on_stdout(played: "subprocess.CompletedProcess[str]") -> None:
    assert played.returncode == Exit.OK, played.stderr
    summary: dict[str, Any] = json.loads(played.stdout)
    assert sorted(summary) == ["changes", "commits", "dead_lettered", "digest", "events", "high_first", "rejected"]
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
    assert "It is no Kafka" in played.stderr
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
    assert "kafka.bootstrap_servers is set alone" in capsys.readouterr().err
