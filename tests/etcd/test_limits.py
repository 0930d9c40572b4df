import pytest

from processor.engine.errors import InvalidRequest
from processor.etcd.limits import Limits, check_limits
from tests.contracts.store_worlds import EtcdWorld

pytestmark = pytest.mark.services


def test_limits_of_the_server_are_found_out_without_a_write(world: EtcdWorld) -> None:
    client = world.client
    before = client.status().revision
    check_limits(client, Limits())
    with pytest.raises(InvalidRequest, match=r"txn_ops_max is 129, above .*too many operations"):
        check_limits(client, Limits(operations_max=129))
    with pytest.raises(InvalidRequest, match=r"request_bytes_max is 1700000, above .*request is too large"):
        check_limits(client, Limits(request_bytes_max=1_700_000))
    with pytest.raises(InvalidRequest, match="request_bytes_max is 20000000"):
        check_limits(client, Limits(request_bytes_max=20_000_000))
    assert client.status().revision == before
