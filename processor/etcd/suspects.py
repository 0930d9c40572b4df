"""The entities that were changed without the head, once the digest shows that there are some."""

from collections.abc import Iterator, Sequence

from processor.engine.values import Snapshot
from processor.etcd import requests
from processor.etcd.client import EtcdClient
from processor.etcd.failures import CompactedError
from processor.etcd.layout import ShardKeys

READS_PER_CALL = 64
"""Below the limit of operations of every server."""


def find_suspects(client: EtcdClient, keys: ShardKeys, snapshot: Snapshot) -> tuple[str, ...]:
    """Return the entities last written at or after the head's revision, or at a revision at which head was not.

    Every write of ours writes head too. As far as etcd's history reaches: older writes are not looked at.
    Raises StoreUnavailable.
    """
    older = {revision for revision in snapshot.modified.values() if revision < snapshot.head_revision}
    foreign = set(_without_head(client, keys, sorted(older, reverse=True)))
    return tuple(sorted(key for key, at in snapshot.modified.items() if at >= snapshot.head_revision or at in foreign))


def _without_head(client: EtcdClient, keys: ShardKeys, revisions: Sequence[int]) -> Iterator[int]:
    """Yield those of the revisions, given newest first, at which head was not written; end where history ends."""
    for chunk in _chunks(revisions, READS_PER_CALL):
        try:
            yield from _foreign(client, keys, chunk)
        except CompactedError:
            yield from _until_compacted(client, keys, chunk)
            return


def _until_compacted(client: EtcdClient, keys: ShardKeys, revisions: Sequence[int]) -> Iterator[int]:
    for revision in revisions:
        try:
            yield from _foreign(client, keys, (revision,))
        except CompactedError:
            return


def _foreign(client: EtcdClient, keys: ShardKeys, revisions: Sequence[int]) -> list[int]:
    operations = [requests.get(keys.head, revision=revision) for revision in revisions]
    responses = client.read(requests.transaction((), operations)).responses
    heads = [response.response_range.kvs for response in responses]
    return [
        revision
        for revision, head in zip(revisions, heads, strict=True)
        if not head or head[0].mod_revision != revision
    ]


def _chunks(revisions: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (revisions[start : start + size] for start in range(0, len(revisions), size))
