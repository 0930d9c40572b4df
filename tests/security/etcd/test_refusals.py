"""What a real etcd with certificates and users refuses: the cause is named, nothing is lost, and it heals by itself."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from processor.engine.errors import InvalidRequest, StoreDenied, StoreUnavailable, WriteDenied
from processor.engine.values import Committed
from processor.etcd import diagnosis, requests
from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient
from processor.etcd.compactor import Compactor
from processor.etcd.connection import REREAD_INTERVAL_S
from processor.etcd.layout import Owner, ShardKeys
from processor.etcd.lease import InstanceLease
from processor.etcd.limits import Limits, check_limits
from processor.etcd.membership import EtcdMembership
from processor.etcd.ownership import EtcdOwnership
from processor.etcd.store import EtcdStore
from processor.runtime.addresses import parse
from tests.contracts.store_worlds import answers, commit, owned
from tests.security.etcd_lab import Administrator, EtcdLab
from tests.waiting import wait_until

pytestmark = pytest.mark.services

PREFIX = "PROCESSOR_ETCD__"


class Limited:
    """A user with a role limited to the keys of one app."""

    def __init__(self, lab: EtcdLab, root: Administrator, name: str) -> None:
        self.name, self.root, self.password = name, f"/{name}/app/", "first"
        root.add_role(name, self.root)
        root.add_user(name, self.password)
        root.grant(name, name)
        self.client = EtcdClient(self.access(lab), reread=lambda: self.access(lab))
        self.keys = ShardKeys(f"/{name}", "app", 0)
        self.lease = InstanceLease(self.client, f"/{name}/app", Owner("me", "host", 1, 0))
        self.ownership = EtcdOwnership(self.client, self.keys, self.lease)

    def access(self, lab: EtcdLab) -> Access:
        return lab.access(self.name, self.password, root=self.root)

    def answers(self) -> bool:
        return answers(self.client)

    def close(self) -> None:
        self.lease.close()
        self.client.close()


@pytest.fixture
def limited(lab: EtcdLab, root: Administrator, namespace: str) -> Iterator[Limited]:
    user = Limited(lab, root, namespace)
    yield user
    user.close()


def refusal_of(access: Access) -> str:
    """Return what a client is told that is refused, in reading as in writing."""
    with closing(EtcdClient(access)) as client:
        with pytest.raises(StoreDenied) as read:
            client.ping()
        with pytest.raises(WriteDenied) as written:
            client.transact(requests.transaction((), (requests.put(b"/x", b""),))).result()
    assert str(written.value) == str(read.value)
    return str(read.value)


def foreign_certificate(lab: EtcdLab, **user: str) -> Access:
    return lab.secured(**user, **lab.other.issue("foreign").pem())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            lambda lab: lab.secured(ca=lab.other.ca_file.read_bytes()),
            f"{{tls}} has a certificate that is not signed by the authority in {PREFIX}CA_FILE",
        ),
        (
            lambda lab: lab.secured(ca=None, tls=True),
            f"{{tls}} has a certificate that is not signed by a public authority ({PREFIX}CA_FILE is not set)",
        ),
        (
            lambda lab: lab.secured(endpoints=(lab.elsewhere,)),
            f"{{elsewhere}} has a certificate that is not valid for 127.0.0.2: name it in {PREFIX}ENDPOINTS",
        ),
        (
            lambda lab: lab.secured(certificate=None, private_key=None),
            f"{{tls}} wants a client certificate: set {PREFIX}CERT_FILE and {PREFIX}KEY_FILE",
        ),
        (foreign_certificate, f"{{tls}} does not take our client certificate: see {PREFIX}CERT_FILE"),
        (
            lambda lab: Access((lab.tls,)),
            f"{{tls}} speaks TLS: set {PREFIX}CA_FILE, or write https:// before the endpoints",
        ),
        (
            lambda lab: lab.secured(endpoints=(lab.plain,)),
            f"{{plain}} does not speak TLS: unset {PREFIX}CA_FILE and write no https:// before the endpoints",
        ),
        (
            lambda lab: lab.access("root", "wrong"),
            f"the password of user root is wrong, or there is no such user: see {PREFIX}USERNAME and {PREFIX}PASSWORD",
        ),
        (lambda lab: lab.access("nobody", "wrong"), "the password of user nobody is wrong, or there is no such user"),
        (lambda lab: Access((lab.plain,)), f"it wants a user and a password: set {PREFIX}USERNAME"),
    ],
)
def test_the_cause_is_named_with_the_setting(lab: EtcdLab, wrong: Callable[[EtcdLab], Access], sentence: str) -> None:
    expected = sentence.format(tls=lab.tls, elsewhere=lab.elsewhere, plain=lab.plain)
    assert expected in refusal_of(wrong(lab))


def test_the_name_in_a_client_certificate_is_a_user(lab: EtcdLab, root: Administrator, limited: Limited) -> None:
    access = lab.secured(**lab.authority.issue(f"cert-{limited.name}").pem(), root=limited.root)
    with closing(EtcdClient(access)) as client:
        with pytest.raises(StoreDenied, match=f"needs readwrite on the prefix {limited.root}"):
            client.ping()
        root.add_user(f"cert-{limited.name}", "")
        root.grant(f"cert-{limited.name}", limited.name)
        client.ping()


def test_a_role_limited_to_the_prefix_is_enough_for_all_that_a_shard_needs(limited: Limited) -> None:
    client = limited.client
    client.ping()
    check_limits(client, Limits())
    epoch = owned(limited.ownership.campaign())
    store = EtcdStore(client, limited.keys)
    store.load()
    assert isinstance(store.send(commit(0, epoch, 0)).result(), Committed)
    assert EtcdMembership(client, f"/{limited.name}", "app", limited.lease, shards=1).look().owners == {0: "me"}
    limited.ownership.release(epoch, clean=True)
    with pytest.raises(StoreDenied):
        client.read(requests.transaction((), (requests.get(b"/elsewhere"),)))


def test_a_token_that_has_expired_is_replaced(lab: EtcdLab, limited: Limited) -> None:
    limited.client.ping()
    first = limited.client.metadata()
    wait_until(lambda: forgotten_tokens(lab, limited.name), what="etcd forgets a token that nobody uses")
    limited.client.ping()
    assert limited.client.metadata() != first


def test_a_token_that_was_ended_is_replaced_whatever_it_was_used_for(limited: Limited, root: Administrator) -> None:
    lease_id = limited.client.grant_lease(60)
    put = requests.transaction((), (requests.put(limited.root.encode(), b""),))
    for use in (
        limited.client.ping,
        lambda: limited.client.transact(put).result(),
        lambda: limited.client.keep_alive(lease_id, timeout_s=5),
    ):
        ended = limited.client.metadata()
        root.change_password(limited.name, limited.password)
        use()
        assert limited.client.metadata() != ended


def forgotten_tokens(lab: EtcdLab, user: str) -> list[str]:
    return [line for line in lab.server.log.splitlines() if "deleted a simple token" in line and user in line]


def test_a_role_revoked_under_a_commit_leaves_it_unknown_until_the_right_is_back(
    limited: Limited, root: Administrator
) -> None:
    epoch = owned(limited.ownership.campaign())
    store = EtcdStore(limited.client, limited.keys)
    store.load()
    root.revoke(limited.name, limited.name)
    flight = store.send(commit(0, epoch, 0))
    with pytest.raises(WriteDenied, match=f"needs readwrite on the prefix {limited.root}"):
        flight.result()
    with pytest.raises(StoreDenied):
        store.read_head()
    root.grant(limited.name, limited.name)
    flight.again()
    answer = flight.result()
    assert answer == Committed(store.read_head().head_revision)


def test_a_lease_that_may_not_be_prolonged_ends_by_our_own_clock_and_is_had_again(
    limited: Limited, root: Administrator
) -> None:
    epoch = owned(limited.ownership.campaign())
    root.revoke(limited.name, limited.name)
    wait_until(lambda: not limited.ownership.alive(), what="the lease is lost")
    with pytest.raises(StoreDenied):
        limited.ownership.verify(epoch)
    root.grant(limited.name, limited.name)
    wait_until(lambda: (campaigned(limited.ownership) or 0) > epoch, what="the shard is owned again")


def campaigned(ownership: EtcdOwnership) -> int | None:
    try:
        return ownership.campaign()
    except StoreUnavailable:
        return None


def test_a_user_deleted_and_made_again_goes_on(limited: Limited, root: Administrator) -> None:
    limited.client.ping()
    root.delete_user(limited.name)
    with pytest.raises(StoreDenied, match="or there is no such user"):
        limited.client.ping()
    root.add_user(limited.name, limited.password)
    root.grant(limited.name, limited.name)
    limited.client.ping()


def test_a_changed_password_is_read_again_and_not_needed_before(limited: Limited, root: Administrator) -> None:
    limited.client.ping()
    root.change_password(limited.name, "second")
    with pytest.raises(StoreDenied, match="is wrong"):
        limited.client.ping()
    limited.password = "second"  # noqa: S105 - a test's
    wait_until(limited.answers, what="the new password is used", timeout_s=10 * REREAD_INTERVAL_S)


def test_authentication_may_be_turned_off_and_on_while_we_run(
    lab: EtcdLab, limited: Limited, root: Administrator
) -> None:
    limited.client.ping()
    root.disable()
    try:
        limited.client.ping()
        assert "it has no users" in refusal_of(limited.access(lab))
    finally:
        root.enable()
    limited.client.ping()


def test_a_certificate_is_read_again_when_the_server_no_longer_takes_it(lab: EtcdLab, limited: Limited) -> None:
    user = {"username": limited.name, "password": limited.password, "root": limited.root}
    wrong, right = foreign_certificate(lab, **user), lab.secured(**user)
    current = [wrong]
    with closing(EtcdClient(wrong, reread=lambda: current[0])) as client:
        with pytest.raises(StoreDenied, match="does not take our client certificate"):
            client.ping()
        current[0] = right
        wait_until(lambda: answers(client), what="the new certificate is used", timeout_s=10 * REREAD_INTERVAL_S)


def test_files_that_cannot_be_used_are_told_and_what_was_there_is_kept(lab: EtcdLab, limited: Limited) -> None:
    def unreadable() -> Access:
        raise InvalidRequest("PROCESSOR_ETCD__KEY_FILE: cannot read /nowhere")

    told = pytest.raises(StoreDenied, match=r"no such user.*; PROCESSOR_ETCD__KEY_FILE: cannot read /nowhere")
    with closing(EtcdClient(lab.access("nobody", "wrong"), reread=unreadable)) as client, told:
        client.ping()
    with closing(EtcdClient(limited.access(lab), reread=unreadable)) as client:
        client.ping()


def test_each_member_is_looked_at_by_itself(lab: EtcdLab) -> None:
    access = lab.secured(endpoints=(lab.tls, lab.elsewhere, "127.0.0.1:1", lab.plain))
    found = [diagnosis.cause_of_member(parse(endpoint), access) for endpoint in access.endpoints]
    assert found[0] == found[1] == ""  # the certificate has to be valid for the first one's host alone
    assert "does not answer: [Errno 111] Connection refused" in found[2]
    assert "does not speak TLS" in found[3]


def test_a_denied_compaction_is_told_once_and_the_size_goes_on_being_known(
    limited: Limited, root: Administrator, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = 0.0
    compactor = Compactor(limited.client, keep_s=0, monotonic_s=lambda: now_s)
    with caplog.at_level(logging.INFO, logger="processor.etcd"):
        for _ in range(4):
            limited.client.transact(requests.transaction((), (requests.put(limited.root.encode(), b""),))).result()
            assert compactor.run_once() is None
            now_s += 1
        assert set(compactor.denied()) == {"compact"}
        assert compactor.pressure() > 0
        root.grant(limited.name, "root")
        assert compactor.run_once() is not None
    assert compactor.denied() == frozenset()
    told = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert told == ["etcd_call_denied", "etcd_call_allowed_again"]
    assert "it needs the role root" in caplog.records[0].getMessage()


def test_the_quota_is_watched_without_compaction(limited: Limited) -> None:
    compactor = Compactor(limited.client, enabled=False, interval_s=0.01)
    compactor.start()
    try:
        wait_until(compactor.pressure, what="the size is known")
    finally:
        compactor.stop()
    assert compactor.denied() == frozenset()
