"""A connection follows members that come back under other addresses, and does not churn while they are away."""

from collections.abc import Iterator
from contextlib import closing

import grpc
import pytest
from etcd3.etcdrpc import rpc_pb2 as rpc

from processor.engine.errors import StoreUnavailable
from processor.etcd.channel import Access
from processor.etcd.connection import REREAD_INTERVAL_S, Connection
from processor.etcd.failures import Failure
from tests.services import Etcd
from tests.waiting import wait_until

NAMES = ("etcd-0.invalid:1", "etcd-1.invalid:1")


class Names:
    """Where the names lead to: what is set, or nowhere."""

    def __init__(self, target: str = "") -> None:
        self.target = target
        self.asked = 0

    def resolve(self, endpoints: tuple[str, ...]) -> str:
        self.asked += 1
        if not self.target:
            raise StoreUnavailable(f"none of these can be resolved: {endpoints}")
        return self.target


def connected(names: Names) -> Connection:
    return Connection(Access(NAMES), resolve=names.resolve)


def failure_of_a_call(connection: Connection) -> Failure | None:
    try:
        connection.wire.kv.Range(rpc.RangeRequest(key=b"/x"), timeout=2)
    except grpc.RpcError as error:
        return connection.judged(error)[0]
    return None


@pytest.mark.parametrize("before", ["", "ipv4:127.0.0.1:1,127.0.0.1:2"])
def test_members_that_come_back_elsewhere_are_found(etcd: Etcd, before: str) -> None:
    names = Names(before)
    with closing(connected(names)) as connection:
        assert failure_of_a_call(connection) is Failure.AWAY
        names.target = f"ipv4:127.0.0.1:1,{etcd.endpoint}"
        wait_until(
            lambda: failure_of_a_call(connection) is None, what="a member answers", timeout_s=20 * REREAD_INTERVAL_S
        )
        assert etcd.endpoint in connection.wire.target


@pytest.fixture
def away() -> Iterator[tuple[Names, Connection]]:
    names = Names("ipv4:127.0.0.1:1,127.0.0.1:2")
    with closing(connected(names)) as connection:
        yield names, connection


@pytest.mark.parametrize("now", ["ipv4:127.0.0.1:2,127.0.0.1:1", "ipv4:127.0.0.1:2", ""])
def test_a_channel_stays_where_names_lead_to_fewer_or_the_same_addresses(
    away: tuple[Names, Connection], now: str
) -> None:
    names, connection = away
    wire, names.target = connection.wire, now
    assert failure_of_a_call(connection) is Failure.AWAY
    assert names.asked == 2
    assert connection.wire is wire


def test_names_are_not_asked_for_at_every_failure(away: tuple[Names, Connection]) -> None:
    names, connection = away
    for _ in range(5):
        assert failure_of_a_call(connection) is Failure.AWAY
    assert names.asked < 5
