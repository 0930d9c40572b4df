"""The client against real etcd: paging, errors, tokens, and servers that stop, freeze and fill up."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from processor.engine.errors import OutcomeUnknown, StoreDenied, StoreUnavailable
from processor.engine.values import Committed
from processor.etcd import requests
from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient
from processor.etcd.failures import LeaseGoneError
from tests.contracts.store_worlds import EtcdWorld, commit
from tests.local_servers import LocalServer

pytestmark = pytest.mark.services

DEAD_ENDPOINT = "127.0.0.1:1"


@pytest.fixture
def client(world: EtcdWorld) -> EtcdClient:
    return world.client


def connected(server: LocalServer, **access: Any) -> EtcdClient:
    return EtcdClient(Access((server.address,), **access))


def write(client: EtcdClient, key: bytes = b"/test", value: bytes = b"") -> Any:
    return client.transact(requests.transaction((), (requests.put(key, value),))).result()


def eventually(action: Callable[[], object]) -> None:
    """Repeat what says StoreUnavailable or OutcomeUnknown, within reason."""
    for _ in range(60):
        try:
            action()
        except (StoreUnavailable, OutcomeUnknown):
            continue
        return
    action()


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


def test_a_dead_endpoint_among_several_is_skipped(etcd: Any) -> None:
    client = EtcdClient(Access((DEAD_ENDPOINT, etcd.endpoint)))
    eventually(client.ping)
    for _ in range(10):
        client.ping()
    client.close()


def test_a_server_that_is_not_there_is_unavailable_and_a_write_to_it_unknown() -> None:
    client = EtcdClient(Access((DEAD_ENDPOINT,)))
    with pytest.raises(StoreUnavailable):
        client.ping()
    with pytest.raises(OutcomeUnknown):
        write(client)
    client.close()


def test_a_user_of_a_server_without_users_is_denied(etcd: Any) -> None:
    client = EtcdClient(Access((etcd.endpoint,), username="somebody", password="secret"))  # noqa: S106 - a test's
    with pytest.raises(StoreDenied, match="authentication is not enabled"):
        client.ping()
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

    def settle() -> None:
        flight.again()
        assert isinstance(flight.result(), Committed)

    eventually(settle)
    stands = store.read_head()
    assert flight.result() == Committed(stands.head_revision)
    assert stands.head == commit(0, epoch, 0).head
    world.close()


def test_a_server_killed_and_started_again_is_found_again(own_etcd: Callable[..., LocalServer]) -> None:
    server = own_etcd()
    client = connected(server)
    write(client)
    server.kill()
    with pytest.raises(StoreUnavailable):
        client.ping()
    server.start()
    eventually(client.ping)
    write(client)
    client.close()


def fill(client: EtcdClient) -> None:
    """Write until the server refuses; its count of bytes lags behind by what it has not yet put into its file."""
    for _ in range(2_000):
        try:
            write(client, value=bytes(500_000))
        except OutcomeUnknown:
            return
    raise AssertionError("the quota was never exceeded")


@pytest.fixture
def guarded_server(own_etcd: Callable[..., LocalServer]) -> Iterator[tuple[LocalServer, EtcdClient]]:
    """A server with users, and a client that knows the password."""
    server = own_etcd()
    opening = connected(server)
    auth: Any = stubs.AuthStub(opening.channel)
    auth.UserAdd(rpc.AuthUserAddRequest(name="root", password="secret"))  # noqa: S106 - a test's
    auth.RoleAdd(rpc.AuthRoleAddRequest(name="root"))
    auth.UserGrantRole(rpc.AuthUserGrantRoleRequest(user="root", role="root"))
    auth.AuthEnable(rpc.AuthEnableRequest())
    opening.close()
    client = connected(server, username="root", password="secret")  # noqa: S106 - a test's
    yield server, client
    client.close()


def test_a_token_is_fetched_and_another_when_it_is_no_longer_valid(
    guarded_server: tuple[LocalServer, EtcdClient],
) -> None:
    _, client = guarded_server
    write(client)
    first = client.metadata()
    auth: Any = stubs.AuthStub(client.channel)
    # Ends every token of the user.
    change = rpc.AuthUserChangePasswordRequest(name="root", password="secret")  # noqa: S106 - a test's
    auth.UserChangePassword(change, metadata=first)
    write(client)
    assert client.metadata() != first
    second = client.metadata()
    auth.UserChangePassword(change, metadata=second)
    client.ping()
    assert client.metadata() not in (first, second)
    lease_id = client.grant_lease(60)
    auth.UserChangePassword(change, metadata=client.metadata())
    assert client.keep_alive(lease_id, timeout_s=5) == 60


def test_a_wrong_password_is_denied(guarded_server: tuple[LocalServer, EtcdClient]) -> None:
    server, _ = guarded_server
    client = connected(server, username="root", password="wrong")  # noqa: S106 - a test's
    with pytest.raises(StoreDenied, match="the password of user root is wrong"):
        client.ping()
    client.close()


def test_no_user_where_there_are_users_is_no_service(guarded_server: tuple[LocalServer, EtcdClient]) -> None:
    server, _ = guarded_server
    client = connected(server)
    with pytest.raises(StoreDenied, match=r"user name is empty.*it wants a user and a password"):
        client.ping()
    client.close()


def test_a_full_server_says_so_and_takes_the_identical_request_when_there_is_room_again(
    own_etcd: Callable[..., LocalServer], namespace: str
) -> None:
    server = own_etcd("--quota-backend-bytes=2000000")
    world = EtcdWorld(server.address, namespace)
    epoch = world.ownership("first").campaign()
    assert epoch is not None
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
