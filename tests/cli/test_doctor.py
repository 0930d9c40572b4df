"""What the doctor says of servers that are away: once, in a sentence, without waiting for each of them again."""

import time

import pytest

from processor.cli.exits import Exit
from tests.cli.conftest import Cli

NOWHERE = "127.0.0.1:1"
ANSWER_WITHIN_S = 25.0
"""The promise is about 10 s on a machine that is not busy; looking at Kafka again for each check took 36 s."""


def _verdicts(cli: Cli, code: Exit) -> dict[str, str]:
    told = cli("doctor", "-o", "json")
    assert told.code == code, told.out
    return {check["check"]: check["verdict"] for check in told.json}


def test_what_needs_kafka_is_not_looked_at_without_it(
    servers: dict[str, str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    del servers
    assert cli("topics", "apply").code == Exit.OK
    assert cli("run", "--once").code == Exit.OK
    monkeypatch.setenv("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", NOWHERE)
    began_s = time.monotonic()
    verdicts = _verdicts(cli, Exit.UNREACHABLE)
    assert time.monotonic() - began_s < ANSWER_WITHIN_S
    assert {check for check, verdict in verdicts.items() if verdict == "not looked at"} == {
        "clock",
        "shard 0 inputs",
        "shard 0 output",
    }
    assert (verdicts["kafka"], verdicts["etcd"], verdicts["shard 0 state"]) == ("unreachable", "ok", "ok")


def test_what_needs_etcd_is_not_looked_at_without_it(
    servers: dict[str, str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    del servers
    assert cli("topics", "apply").code == Exit.OK
    monkeypatch.setenv("PROCESSOR_ETCD__ENDPOINTS", NOWHERE)
    verdicts = _verdicts(cli, Exit.UNREACHABLE)
    assert (verdicts["kafka"], verdicts["etcd"], verdicts["shards"]) == ("ok", "unreachable", "not looked at")


def test_a_topic_that_does_not_exist_is_said_with_the_command_that_makes_it(servers: dict[str, str], cli: Cli) -> None:
    told = cli("doctor", "-o", "json")
    assert told.code == Exit.DIFFERS
    failed = [check["detail"] for check in told.json if check["verdict"] == "failed"]
    assert failed == [
        f"topic {name} does not exist; create it with: processor topics apply" for name in servers.values()
    ]
