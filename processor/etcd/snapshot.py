"""One shard at one revision, linearizable, for its owner and for other readers."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from processor.engine.announcements import OutboxEntry, StoredEntry
from processor.engine.errors import StoreUnavailable
from processor.engine.values import Attempts, Head, Snapshot
from processor.etcd import requests
from processor.etcd.backlog import Backlog, Delta, StoredDelta, merge
from processor.etcd.client import EtcdClient
from processor.etcd.failures import CompactedError, HistoryGoneError
from processor.etcd.layout import (
    ShardKeys,
    decode_attempts,
    decode_head,
    end_of,
    numbers_of,
    unpack_delta,
    unpack_entry,
)

T = TypeVar("T")

SNAPSHOT_ATTEMPTS_MAX = 5
ENTITY_PAGE_KEYS = 10_000
PACKED_PAGE_KEYS = 64
"""A packed value may have hundreds of KiB."""


class ShardImage(msgspec.Struct, frozen=True):
    """A snapshot with what the owner needs besides: the backlog, and whether parts of an abandoned commit lie about."""

    snapshot: Snapshot
    backlog: Backlog
    orphaned_parts: bool


class _Numbered(msgspec.Struct, frozen=True):
    """The keys of one folder: frame and revision by seq, parts by seq and number."""

    frames: dict[int, tuple[bytes, int]]
    parts: dict[int, dict[int, bytes]]


def read_shard(client: EtcdClient, keys: ShardKeys, *, at_revision: int = 0) -> ShardImage:
    """Read a shard as of now, or as of a past revision.

    Raises StoreUnavailable, ShardRefused (newer layout, unreadable values), HistoryGoneError.
    """
    if at_revision:
        try:
            return _read_once(client, keys, at_revision)
        except CompactedError as error:
            raise HistoryGoneError(f"the store's history no longer reaches back to revision {at_revision}") from error
    for _ in range(SNAPSHOT_ATTEMPTS_MAX):
        image = _unless_compacted(lambda: _read_once(client, keys, 0))
        if image is not None:
            return image
    raise StoreUnavailable(f"{SNAPSHOT_ATTEMPTS_MAX} snapshots in a row were compacted while they were read")


def _unless_compacted(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except CompactedError:
        return None


def _read_once(client: EtcdClient, keys: ShardKeys, at_revision: int) -> ShardImage:
    pinned = [requests.get(key, revision=at_revision) for key in (keys.head, keys.owner, keys.attempts)]
    answer = client.read(requests.transaction((), pinned))
    revision = at_revision or answer.header.revision
    heads, owners, attempts = (response.response_range.kvs for response in answer.responses)
    head: Head | None = decode_head(heads[0].value) if heads else None
    seq = head.seq if head else -1

    def scan(folder: bytes, page_keys: int) -> Iterator[Any]:
        return client.pages(folder, end_of(folder), revision=revision, page_keys=page_keys)

    deltas = _read_numbered(keys.delta, scan(keys.delta, PACKED_PAGE_KEYS))
    outbox = _read_numbered(keys.outbox, scan(keys.outbox, PACKED_PAGE_KEYS))
    written = {keys.entity_of(kv.key): (kv.value, kv.mod_revision) for kv in scan(keys.state, ENTITY_PAGE_KEYS)}
    merged = merge(written, [stored for stored in _deltas(deltas) if stored.delta.seq <= seq])
    snapshot = Snapshot(
        revision=revision,
        head=head,
        head_revision=heads[0].mod_revision if heads else 0,
        owner_epoch=owners[0].create_revision if owners else 0,
        entities=merged.entities,
        modified=merged.modified,
        outbox=tuple(stored for stored in _entries(outbox) if stored.entry.seq <= seq),
        attempts=_attempts(attempts),
    )
    orphaned_parts = any(number > seq for number in (*deltas.parts, *outbox.parts))
    return ShardImage(snapshot, merged.backlog, orphaned_parts)


def _read_numbered(folder: bytes, scanned: Iterator[Any]) -> _Numbered:
    frames: dict[int, tuple[bytes, int]] = {}
    parts: dict[int, dict[int, bytes]] = defaultdict(dict)
    for kv in scanned:
        seq, part = numbers_of(folder, kv.key)
        if part is None:
            frames[seq] = (kv.value, kv.mod_revision)
        else:
            parts[seq][part] = kv.value
    return _Numbered(frames, parts)


def _deltas(found: _Numbered) -> Iterator[StoredDelta]:
    for seq, (frame, revision) in found.frames.items():
        parts = found.parts.get(seq, {})
        size = len(frame) + sum(map(len, parts.values()))
        yield StoredDelta(Delta(seq, size, unpack_delta(frame, parts, where=f"delta/{seq}")), revision)


def _entries(found: _Numbered) -> Iterator[StoredEntry]:
    for seq, (frame, revision) in found.frames.items():
        entry: OutboxEntry = unpack_entry(frame, found.parts.get(seq, {}), where=f"outbox/{seq}")
        yield StoredEntry(entry, revision)


def _attempts(found: Any) -> Attempts | None:
    return decode_attempts(found[0].value) if found else None
