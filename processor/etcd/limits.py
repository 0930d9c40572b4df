"""Whether the server takes requests as large as ours may become, asked without writing anything."""

from collections.abc import Sequence
from typing import Any

from processor.engine.errors import InvalidRequest, OutcomeUnknown
from processor.etcd import requests
from processor.etcd.client import EtcdClient
from processor.etcd.failures import not_written
from processor.etcd.transaction import Limits

PROBE = b"probe"
"""Below the keys that a role limited to our prefix may touch; nothing is ever written there."""
# No key has it: the compare is false on every store, so nothing of the transaction is ever done.
IMPOSSIBLE_REVISION = -1
_WIRE_BYTES = 128


def check_limits(client: EtcdClient, limits: Limits) -> None:
    """Raise InvalidRequest, with the setting to lower, when the server refuses what `limits` allow.

    Raises StoreUnavailable when there is no answer.
    """
    key = client.root + PROBE
    many = [requests.put(key + b"%d" % number, b"") for number in range(limits.operations_max)]
    large = requests.put(key, bytes(max(0, limits.request_bytes_max - _WIRE_BYTES)))
    _check(client, many, f"etcd.txn_ops_max is {limits.operations_max}, above the server's --max-txn-ops")
    _check(client, [large], f"etcd.request_bytes_max is {limits.request_bytes_max}, above --max-request-bytes")


def _check(client: EtcdClient, operations: Sequence[Any], complaint: str) -> None:
    request = requests.transaction((requests.modified_at(client.root + PROBE, IMPOSSIBLE_REVISION),), operations)
    try:
        client.transact(request).result()
    except InvalidRequest as error:
        raise InvalidRequest(f"{complaint} ({error})") from error
    except OutcomeUnknown as error:
        raise not_written(error, "the limits could not be asked for") from error
