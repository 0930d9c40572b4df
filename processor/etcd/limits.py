"""The size that our requests may have, and a check, without writing anything, that the server accepts it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from processor.engine.errors import InvalidRequest, OutcomeUnknown
from processor.engine.values import Image
from processor.etcd import requests
from processor.etcd.backlog import Backlog
from processor.etcd.client import EtcdClient
from processor.etcd.failures import not_written

STAGE_PART_BYTES_MAX = 512 * 1024
PROBE = b"probe"
"""A key inside the prefix that our role may touch; nothing is ever written there."""
# No key has this revision: the compare is false on every store, so the transaction never does anything.
IMPOSSIBLE_REVISION = -1
_WIRE_BYTES = 128


class Limits(msgspec.Struct, frozen=True):
    """The size of a request, and the backlog (in deltas, in bytes) beyond which all operations serve the backlog.

    `operations_max` and `request_bytes_max` stay below the server's `--max-txn-ops` and `--max-request-bytes`.
    """

    operations_max: int = 128
    request_bytes_max: int = 1_441_792
    delta_commits_max: int = 64
    delta_bytes_max: int = 16 * 1024 * 1024

    @property
    def part_bytes_max(self) -> int:
        """The size of a part; the last transaction of a staged commit may hold one of either kind."""
        return min(STAGE_PART_BYTES_MAX, self.request_bytes_max // 4)

    @property
    def value_bytes_max(self) -> int:
        """The largest entity: it must fit into a transaction beside a head."""
        return self.request_bytes_max * 3 // 4

    def exceeded_by_image(self, image: Image) -> bool:
        """Tell whether an image is larger than an entity may be."""
        return image.value is not None and len(image.value) > self.value_bytes_max

    def exceeded_by_backlog(self, backlog: Backlog) -> bool:
        """Tell whether the backlog has grown so far that batches wait for it."""
        return backlog.commits >= self.delta_commits_max or backlog.size_bytes >= self.delta_bytes_max


def check_limits(client: EtcdClient, limits: Limits) -> None:
    """Raise InvalidRequest, naming the setting to lower, when the server refuses requests as large as `limits`.

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
