import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.local_servers import LocalServer
from tests.services import Etcd, Kafka, ServicesMissingError, serve


def can_connect(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def test_an_address_in_the_environment_is_the_first_rung(tmp_path: Path) -> None:
    with serve("etcd", tmp_path, {"PROCESSOR_TEST_ETCD": "192.0.2.1:2379"}) as server:
        assert server.address == "192.0.2.1:2379"
        assert server.rung == "PROCESSOR_TEST_ETCD says 192.0.2.1:2379"


def test_a_forced_rung_that_does_not_hold_fails_with_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(ServicesMissingError, match=r"or install java.*\n.*is not set"),
        serve("kafka", tmp_path, {"PROCESSOR_TEST_RUNG": "address"}),
    ):
        pass


def test_a_forced_rung_passes_over_a_set_address(tmp_path: Path) -> None:
    environment = {"PROCESSOR_TEST_RUNG": "no such rung", "PROCESSOR_TEST_ETCD": "192.0.2.1:2379"}
    with pytest.raises(ServicesMissingError), serve("etcd", tmp_path, environment):
        pass


def test_the_session_servers_answer(kafka: Kafka, etcd: Etcd) -> None:
    assert can_connect(kafka.bootstrap)
    assert can_connect(etcd.endpoint)


def test_an_own_server_can_be_killed_and_comes_back_at_its_address(own_etcd: Callable[..., LocalServer]) -> None:
    server = own_etcd("--max-txn-ops=256")
    address, first_pid = server.address, server.pid
    server.kill()
    assert not can_connect(address)
    server.start()
    assert server.address == address
    assert server.pid != first_pid
    assert can_connect(address)
    assert b"--max-txn-ops=256" in Path(f"/proc/{server.pid}/cmdline").read_bytes()
