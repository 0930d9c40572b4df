"""The client against real etcd: paging, errors, and servers that are away, freeze and fill up."""

from collections.abc import Callable
from typing import Any

import pytest
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from processor.engine.errors import OutcomeUnknown, StoreUnavailable
from processor.engine.values import Committed
from processor.etcd import requests
from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient
from processor.etcd.failures import LeaseGoneError
from tests.contracts.store_worlds import EtcdWorld, commit, owned, settled
from tests.local_servers import LocalServer

pytestmark = pytest.mark.services


@pytest.fixture
def client(world: EtcdWorld) -> EtcdClient:
    return world.client


def write(client: EtcdClient, key: bytes = b"/test", value: bytes = b"") -> Any:
    return client.transact(requests.transaction((), (requests.put(key, value),))).result()


def test_pages_are_ascending_without_hole_or_repeat_at_one_revision(world: EtcdWorld, client: EtcdClient) -> None:
    names = [world.keys.state + b"%03d" % number for number in range(25)]
    world.transact(*(requests.put(name, b"old") for name in names))
    revision = world.transact(requests.get(names[0])).header.revision
    pages = client.pages(world.keys.state, world.keys.state + b"\xff", revision=revision, page_keys=4)
    found = [next(pages)]
    world.transact(*(requests.put(name, b"new") for name in names), requests.put(names[0] + b"x", b"new"))
    found.extend(pages)
    assert [kv.key for kv in found] == names
    assert {kv.value for kv in found} == {b"old"}


def test_status_knows_the_size_in_use_and_the_quota(client: EtcdClient) -> None:
    status = client.status()
    assert 0 < status.size_in_use_bytes <= status.size_bytes
    assert status.quota_bytes == 8_589_934_592
    assert status.version.startswith("3.")
    assert status.revision > 0


def test_there_is_no_alarm_on_a_healthy_server(client: EtcdClient) -> None:
    assert client.alarms() == ()
    client.ping()


def test_compacting_to_where_it_is_compacted_already_is_no_error(client: EtcdClient) -> None:
    revision = write(client).header.revision
    client.compact(revision)
    client.compact(revision)


def test_a_dead_lease_answers_ttl_0_and_cannot_be_used(client: EtcdClient) -> None:
    lease_id = client.grant_lease(60)
    assert client.keep_alive(lease_id, timeout_s=5) == 60
    client.revoke_lease(lease_id)
    assert client.keep_alive(lease_id, timeout_s=5) == 0
    with pytest.raises(LeaseGoneError):
        client.revoke_lease(lease_id)
    with pytest.raises(LeaseGoneError):
        client.transact(requests.transaction((), (requests.put(b"/x", b"", lease_id=lease_id),))).result()


def test_a_server_that_is_not_there_is_unavailable_and_a_write_to_it_unknown() -> None:
    client = EtcdClient(Access(("127.0.0.1:1",)))
    with pytest.raises(StoreUnavailable):
        client.ping()
    with pytest.raises(OutcomeUnknown):
        write(client)
    client.close()


def test_a_frozen_server_leaves_a_write_unknown_and_the_identical_request_settles_it(
    own_etcd: Callable[..., LocalServer], namespace: str
) -> None:
    server = own_etcd()
    world = EtcdWorld(server.address, namespace)
    # Without a lease: one would end while the server is frozen, and the refusal would be right.
    epoch = world.transact(requests.put(world.keys.owner, b"{}")).header.revision
    store = world.store()
    store.load()
    server.pause()
    flight = store.send(commit(0, epoch, 0))
    with pytest.raises(OutcomeUnknown):
        flight.result()
    with pytest.raises(StoreUnavailable):
        store.read_head()
    server.resume()
    answer, stands = settled(flight), store.read_head()
    assert answer == Committed(stands.head_revision)
    assert stands.head == commit(0, epoch, 0).head
    world.close()


def fill(client: EtcdClient) -> None:
    """Write until the server refuses; its count of bytes lags behind by what it has not yet put into its file."""
    for _ in range(2_000):
        try:
            write(client, value=bytes(500_000))
        except OutcomeUnknown:
            return
    raise AssertionError("the quota was never exceeded")


def test_a_full_server_says_so_and_takes_the_identical_request_when_there_is_room_again(
    own_etcd: Callable[..., LocalServer], namespace: str
) -> None:
    server = own_etcd("--quota-backend-bytes=2000000")
    world = EtcdWorld(server.address, namespace)
    epoch = owned(world.ownership("first").campaign())
    store = world.store()
    store.load()
    fill(world.client)
    flight = store.send(commit(0, epoch, 0))
    with pytest.raises(OutcomeUnknown, match="database space exceeded"):
        flight.result()
    assert world.client.alarms() == ("NOSPACE",)
    world.client.compact(world.client.status().revision)
    maintenance: Any = stubs.MaintenanceStub(world.client.channel)
    maintenance.Defragment(rpc.DefragmentRequest())
    for member in maintenance.Alarm(rpc.AlarmRequest(action=rpc.AlarmRequest.GET)).alarms:
        disarm = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=member.memberID, alarm=member.alarm)
        maintenance.Alarm(disarm)
    flight.again()
    assert flight.result() == Committed(store.read_head().head_revision)
    world.close()
