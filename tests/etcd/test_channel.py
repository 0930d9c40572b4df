import pytest

from processor.engine.errors import StoreUnavailable
from processor.etcd.channel import target_of


def test_numbered_endpoints_become_one_list() -> None:
    assert target_of(["10.0.0.1:2379", "10.0.0.2:2379"]) == "ipv4:10.0.0.1:2379,10.0.0.2:2379"
    assert target_of(["[::1]:2379"]) == "ipv6:[::1]:2379"


def test_a_single_name_is_left_to_grpc_which_resolves_it_again_and_again() -> None:
    assert target_of(["etcd:2379"]) == "dns:///etcd:2379"


def test_several_names_are_resolved_and_one_without_an_address_is_skipped() -> None:
    assert target_of(["localhost:1", "no-such-host.invalid:2", "127.0.0.1:3"]) == "ipv4:127.0.0.1:1,127.0.0.1:3"


def test_an_endpoint_named_twice_is_called_once() -> None:
    assert target_of(["127.0.0.1:1", "127.0.0.1:1"]) == "ipv4:127.0.0.1:1"


def test_names_without_any_address_are_a_store_that_is_away() -> None:
    with pytest.raises(StoreUnavailable, match=r"a\.invalid:1, b\.invalid:2"):
        target_of(["a.invalid:1", "b.invalid:2"])
