"""A process that stands by beside one that owns: what its log and its API say, on real servers."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from processor.cli.exits import Exit
from tests.cli.conftest import PROCESSOR, STOP_TIMEOUT_S, Cli
from tests.waiting import wait_until

ANSWER_TIMEOUT_S = 10


class Standby:
    """A second process with HTTP; its log as JSON."""

    def __init__(self, log: Path) -> None:
        self._log = log
        environment = {**os.environ, "PROCESSOR_LOG__FORMAT": "json", "PROCESSOR_LOG__LEVEL": "info"}
        environment["PROCESSOR_INSTANCE"] = "second"
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [*PROCESSOR, "run", "--http", "127.0.0.1:0"], stdout=file, stderr=file, env=environment
            )

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of an event."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def get(self, path: str) -> tuple[int, Any]:
        """Return status and body."""
        (listening,) = self.told("http_listening")
        try:
            with urlopen(f"{listening['url']}{path}", timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310 - our own
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, json.load(error)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)


@pytest.fixture
def standby(processor: "subprocess.Popen[bytes]", tmp_path: Path) -> Iterator[Standby]:
    del processor
    second = Standby(tmp_path / "second.log")
    try:
        wait_until(lambda: second.told("standing_by"), what="the second process stands by")
        yield second
    finally:
        second.process.kill()
        second.process.wait()


def test_a_standby_says_who_owns_the_shard_wherever_it_is_asked(standby: Standby, cli: Cli) -> None:
    (shard,) = cli("shards", "list", "-o", "json").json
    (line,) = standby.told("standing_by")
    owner = line["owner"]
    assert owner.startswith(shard["owner"])
    (started,) = standby.told("started")
    facts: Mapping[str, Any] = {"instance": "second", "app": "cluster", "clusters": ["cluster"], "reducer_version": 1}
    assert {name: started[name] for name in facts} == facts
    assert started["kafka"] == [os.environ["PROCESSOR_KAFKA__BOOTSTRAP_SERVERS"]]
    wait_until(lambda: standby.get("/readyz") == (200, "ok\n"), what="it is ready")
    code, body = standby.get("/api/v1/state")
    assert (code, body["owner"], body["status"]) == (409, owner, 409)
    (row,) = json.loads(standby.get("/api/v1/status")[1])["shards"]
    assert (row["owner"], row["phase"], row["epoch"], row["seq"]) == (owner, "standby", None, None)
    url = standby.told("http_listening")[0]["url"]
    assert cli("state", "get", "--server", url).code == Exit.CONFLICT
    assert standby.stop() == Exit.OK
    assert [line["instance"] for line in standby.told("stopped")] == ["second"]
