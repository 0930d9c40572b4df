"""A shard's head at any revision that is not compacted; one read each."""

import msgspec

from processor.engine.values import Head
from processor.etcd import requests
from processor.etcd.client import EtcdClient
from processor.etcd.layout import ShardKeys, decode_head


class StandingHead(msgspec.Struct, frozen=True):
    """The head at `revision`, written at `modified`; its key was created at `created`."""

    revision: int
    head: Head
    modified: int
    created: int


class EtcdHeads:
    """The heads of one shard over time."""

    def __init__(self, client: EtcdClient, keys: ShardKeys) -> None:
        self._client = client
        self._keys = keys

    def newest(self) -> StandingHead | None:
        """Return the head now, None when the shard never ran. Raises StoreUnavailable, ShardRefused (newer layout)."""
        return self._read(0)

    def at(self, revision: int) -> StandingHead | None:
        """Return the head at a revision, None when there was none yet.

        Raises StoreUnavailable, ShardRefused, CompactedError, InvalidRequest (a revision of the future).
        """
        return self._read(revision)

    def _read(self, revision: int) -> StandingHead | None:
        answer = self._client.read(requests.transaction((), (requests.get(self._keys.head, revision=revision),)))
        found = answer.responses[0].response_range.kvs
        if not found:
            return None
        (kv,) = found
        return StandingHead(
            revision or answer.header.revision, decode_head(kv.value), kv.mod_revision, kv.create_revision
        )
