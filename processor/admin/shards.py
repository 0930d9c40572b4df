"""Shards as seen from outside: their heads, owners, positions and audit logs. Nothing is owned or written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from processor.assembly.connections import kafka_connection
from processor.configuration.settings import Settings
from processor.configuration.topics import TopicNames
from processor.engine.errors import StoreUnavailable
from processor.engine.inputs import HIGH, NORMAL, TopicPartition
from processor.engine.positions import reached
from processor.engine.values import AuditEntry, Head
from processor.etcd import requests
from processor.etcd.client import EtcdClient
from processor.etcd.failures import CompactedError
from processor.etcd.layout import Owner, ShardKeys, decode_audit, decode_head, end_of
from processor.kafka.offsets import OffsetReader, PartitionOffsets

FACTS_TIMEOUT_S = 10.0
KEYS_PER_READ = 64
"""Far below the number of operations that any server accepts in one transaction."""
BEHIND_AFTER_MS = 10_000
"""A shard with waiting records and no commit for this long is behind."""
AUDIT_PAGE_KEYS = 1000


class ShardView(msgspec.Struct, frozen=True):
    """One shard as the store has it at one revision. `head` is None before its first run, `owner` while it has none.

    `epoch` is the revision at which the owner took the shard, 0 without an owner.
    """

    shard: int
    cluster: str
    head: Head | None
    owner: Owner | None
    epoch: int

    @property
    def outbox(self) -> int:
        """Return at most how many commits are not published yet; what the head knows of it lags behind."""
        return self.head.seq - self.head.announced_seq if self.head else 0


def shard_views(client: EtcdClient, settings: Settings) -> list[ShardView]:
    """Return every shard of the settings, as of one revision. Raises StoreUnavailable, ShardRefused (newer layout)."""
    keys = [ShardKeys(settings.etcd.prefix, settings.app, shard) for shard in range(len(settings.clusters))]
    found = list(_keys_of(client, [*(key.head for key in keys), *(key.owner for key in keys)]))
    shards = zip(settings.clusters, found[: len(keys)], found[len(keys) :], strict=True)
    return [_view(shard, *told) for shard, told in enumerate(shards)]


def audit_entries(client: EtcdClient, settings: Settings, shard: int) -> list[AuditEntry]:
    """Return the audit log of a shard, ascending in time. Raises StoreUnavailable, ShardRefused (unreadable entry)."""
    folder = ShardKeys(settings.etcd.prefix, settings.app, shard).audit
    found = client.pages(folder, end_of(folder), revision=0, page_keys=AUDIT_PAGE_KEYS)
    return [decode_audit(item.value) for item in found]


def input_marks(settings: Settings, topics: TopicNames, shard: int) -> dict[TopicPartition, PartitionOffsets]:
    """Return the offsets and open transactions of a shard's inputs. Raises SourceUnavailable."""
    places = [(topics[lane], shard) for lane in (HIGH, NORMAL)]
    with OffsetReader(kafka_connection(settings), f"{settings.app}-tools", timeout_s=FACTS_TIMEOUT_S) as reader:
        return reader.watermarks(places)


def lag(head: Head | None, marks: Mapping[TopicPartition, PartitionOffsets]) -> dict[str, int]:
    """Return topic → offsets that wait to be read; all that a partition holds while the shard has no head.

    Records behind an open transaction count as waiting.
    """
    positions = reached(head) if head else {}
    waiting: dict[str, int] = {}
    for (topic, partition), extent in marks.items():
        position = positions.get(topic, {}).get(partition, extent.low)
        waiting[topic] = waiting.get(topic, 0) + max(0, extent.high - position)
    return waiting


def status_of(view: ShardView, waiting: int, now_ms: int) -> str:
    """Return `down` without an owner, `degraded` when the shard never ran or falls behind, else `healthy`."""
    if view.owner is None:
        return "down"
    if view.head is None:
        return "degraded"
    return "degraded" if waiting and now_ms - view.head.committed_ms > BEHIND_AFTER_MS else "healthy"


def _keys_of(client: EtcdClient, keys: Sequence[bytes]) -> Iterator[Any]:
    """Yield the KeyValue of each key, None where there is none, all as of one revision."""
    revision = 0
    for start in range(0, len(keys), KEYS_PER_READ):
        reads = [requests.get(key, revision=revision) for key in keys[start : start + KEYS_PER_READ]]
        try:
            answer = client.read(requests.transaction((), reads))
        except CompactedError as error:
            raise StoreUnavailable(f"the shards could not be read at one revision: {error}") from error
        revision = revision or answer.header.revision
        for response in answer.responses:
            found = list(response.response_range.kvs)
            yield found[0] if found else None


def _view(shard: int, cluster: str, head: Any, owner: Any) -> ShardView:
    return ShardView(
        shard=shard,
        cluster=cluster,
        head=None if head is None else decode_head(head.value),
        owner=None if owner is None else msgspec.json.decode(owner.value, type=Owner),
        epoch=0 if owner is None else owner.create_revision,
    )
