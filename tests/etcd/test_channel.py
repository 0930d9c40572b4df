from collections.abc import Callable
from contextlib import closing

import pytest

from processor.engine.errors import StoreUnavailable
from processor.etcd import requests
from processor.etcd.channel import Access, target_of
from processor.etcd.client import EtcdClient
from tests.contracts.store_worlds import answers
from tests.integration.servers import free_port
from tests.local_servers import LocalServer
from tests.services import Etcd
from tests.waiting import wait_until


def test_numbered_endpoints_become_one_list() -> None:
    assert target_of(["10.0.0.1:2379", "10.0.0.2:2379"]) == "ipv4:10.0.0.1:2379,10.0.0.2:2379"
    assert target_of(["[::1]:2379"]) == "ipv6:[::1]:2379"


def test_a_single_name_is_left_to_grpc_which_resolves_it_again_and_again() -> None:
    assert target_of(["etcd:2379"]) == "dns:///etcd:2379"


def test_several_names_are_resolved_and_one_without_an_address_is_skipped() -> None:
    assert target_of(["localhost:1", "no-such-host.invalid:2", "127.0.0.1:3"]) == "ipv4:127.0.0.1:1,127.0.0.1:3"


def test_an_endpoint_named_twice_is_called_once() -> None:
    assert target_of(["127.0.0.1:1", "127.0.0.1:1"]) == "ipv4:127.0.0.1:1"


def test_ipv6_and_ipv4_endpoints_are_one_list_of_ipv6() -> None:
    assert target_of(["[::1]:1", "10.0.0.2:2"]) == "ipv6:[::1]:1,[::ffff:10.0.0.2]:2"
    assert target_of(["10.0.0.2:2", "[::1]:1"]) == "ipv6:[::ffff:10.0.0.2]:2,[::1]:1"


def test_members_on_ipv6_and_ipv4_are_called_in_turn_and_a_dead_one_first_is_skipped(
    etcd: Etcd, own_etcd: Callable[..., LocalServer]
) -> None:
    port = free_port()
    # whether a local server is ready is asked on IPv4
    own_etcd(f"--listen-client-urls=http://[::1]:{port},http://127.0.0.1:{port}", port=port)
    with closing(EtcdClient(Access(("127.0.0.1:1", f"[::1]:{port}", etcd.endpoint)))) as client:
        wait_until(lambda: answers(client), what="a member answers")
        wait_until(lambda: _cluster_of(client) != _cluster_of(client), what="two members answer in turn")
    with closing(EtcdClient(Access((f"[::1]:{port}", "[::1]:1")))) as client:
        wait_until(lambda: answers(client), what="the member on IPv6 answers")


def _cluster_of(client: EtcdClient) -> int:
    answer = client.read(requests.transaction((), (requests.get(b"/x"),)))
    return int(answer.header.cluster_id)


def test_a_proxy_in_the_environment_is_not_asked_for_the_way_to_etcd(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for endpoint in (etcd.endpoint, etcd.endpoint.replace("127.0.0.1", "localhost")):
        with closing(EtcdClient(Access((endpoint,)))) as client:
            client.ping()


def test_names_without_any_address_are_a_store_that_is_away() -> None:
    with pytest.raises(StoreUnavailable, match=r"a\.invalid:1, b\.invalid:2"):
        target_of(["a.invalid:1", "b.invalid:2"])
