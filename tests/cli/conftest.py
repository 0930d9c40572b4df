import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from processor.cli.app import run
from processor.configuration.settings import PROJECT_DIRECTORY
from processor.engine.health import Health
from processor.service.api import ApiSources
from tests.services import Etcd, Kafka
from tests.waiting import wait_until

PROCESSOR = [sys.executable, "-m", "processor"]
STOP_TIMEOUT_S = 30


class Told(msgspec.Struct, frozen=True):
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Told]


def api_sources(document: Any) -> ApiSources:
    """Return what the API of a processor reads that owns its shard, at sequence 4, with this state document."""
    return ApiSources(
        app="cluster",
        instance="here-1",
        clusters=("cluster",),
        health=lambda: (Health(shard=0, phase="owner", seq=4, seen_s=1.0, committed_ms=1, state=document),),
        document=lambda state: state,
        metrics=lambda: b"",
        now_s=lambda: 1.0,
        now_ms=lambda: 1,
    )


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line in this process."""

    def tell(*tokens: str) -> Told:
        capsys.readouterr()
        code = run(tokens)
        captured = capsys.readouterr()
        return Told(int(code), captured.out, captured.err)

    return tell


@pytest.fixture
def servers(
    kafka: Kafka, etcd: Etcd, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Point the settings at real servers, with topics and a prefix of one test's own; return topic names by role."""
    topics_file = tmp_path / "topics.yaml"
    documents = list(yaml.safe_load_all((PROJECT_DIRECTORY / "topics.yaml").read_text()))
    names: dict[str, str] = {}
    for document in documents:
        metadata = document["metadata"]
        metadata["name"] = names[metadata["annotations"]["processor/role"]] = f"{namespace}.{metadata['name']}"
    topics_file.write_text(yaml.safe_dump_all(documents))
    monkeypatch.setenv("PROCESSOR_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap)
    monkeypatch.setenv("PROCESSOR_ETCD__ENDPOINTS", etcd.endpoint)
    monkeypatch.setenv("PROCESSOR_ETCD__PREFIX", f"/{namespace}")
    monkeypatch.setenv("PROCESSOR_TOPICS_FILE", str(topics_file))
    monkeypatch.setenv("PROCESSOR_LOG__LEVEL", "warning")
    return names


@pytest.fixture
def processor(servers: dict[str, str], cli: Cli, tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A processor at work on the servers."""
    del servers
    assert cli("topics", "apply").code == 0
    with (tmp_path / "processor.log").open("wb") as log:
        process = subprocess.Popen([*PROCESSOR, "run"], stdout=log, stderr=log, env=dict(os.environ))
        wait_until(lambda: cli("status").code == 0, what="the shard is healthy")
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_TIMEOUT_S) == 0, (tmp_path / "processor.log").read_text()
