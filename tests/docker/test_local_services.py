"""docker/local/services.py as a person uses it: as a program."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.local_servers import COMMAND_TIMEOUT_S, PROGRAM, LocalServer, LocalServerError
from tests.services import Etcd


def services(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)


def test_env_of_a_server_that_does_not_run_says_how_to_start_it(tmp_path: Path) -> None:
    done = services("env", "etcd", f"--dir={tmp_path}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"services: etcd does not run in {tmp_path}; start it with 'up'\n"


def test_down_spares_a_process_that_only_has_the_number_of_the_pid_file(tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd" / "pid").write_text(f"{os.getpid()}\n")
    done = services("down", "etcd", "--kill", f"--dir={tmp_path}")
    assert done.returncode == 0
    assert done.stderr == "etcd: was not running\n"


def test_a_service_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = services("up", "zookeeper", f"--dir={tmp_path}")
    assert done.returncode == 2
    assert "there is no service 'zookeeper', only kafka and etcd" in done.stderr


def test_up_leaves_alone_what_runs(own_etcd: Callable[..., LocalServer]) -> None:
    server = own_etcd()
    pid = server.pid
    server.start()
    assert server.pid == pid


def test_a_taken_port_is_said_not_waited_for(etcd: Etcd, tmp_path: Path) -> None:
    del etcd  # so that etcd is installed
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = services("up", "etcd", f"--etcd-port={port}", f"--dir={tmp_path}")
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr


def test_a_bad_option_fails_with_what_the_server_said(own_etcd: Callable[..., LocalServer]) -> None:
    with pytest.raises(LocalServerError, match=r"etcd ended while it started[\s\S]*no-such-flag"):
        own_etcd("--no-such-flag=1")


def test_kafka_comes_back_from_a_kill_with_its_address_and_topics(
    own_kafka: Callable[..., LocalServer], namespace: str
) -> None:
    server = own_kafka("message.max.bytes=123456")
    address = server.address
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.create_topics([NewTopic(namespace, num_partitions=1, replication_factor=1)])[namespace].result(30)
    server.kill()
    server.start()
    assert server.address == address
    assert namespace in AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=30).topics
