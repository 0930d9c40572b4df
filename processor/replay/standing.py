"""A shard as the store has it, or had it when its head had a certain seq."""

import msgspec

from processor.engine.errors import NeverRun
from processor.engine.recovery import Restored, check_versions, restore
from processor.engine.values import Head
from processor.etcd.client import EtcdClient
from processor.etcd.failures import CompactedError, HistoryGoneError
from processor.etcd.layout import ShardKeys
from processor.etcd.past import EtcdHeads
from processor.etcd.snapshot import read_shard
from processor.history.revisions import first_where
from processor.replay.errors import StoreBehind
from processor.replay.fold import Build
from processor.replay.live import Live


class Standing(msgspec.Struct, frozen=True):
    """A state of the store with its head, decoded and summed again."""

    head: Head
    restored: Restored
    entities: tuple[tuple[str, bytes], ...]

    @property
    def live(self) -> Live:
        """What a fold is compared with."""
        head, restored = self.head, self.restored
        return Live(head.seq, restored.state, restored.digest, head.digest, head.positions, head.announcements)


def standing(client: EtcdClient, keys: ShardKeys, build: Build, *, seq: int | None = None) -> Standing:
    """Return what the store has now, or had at a seq.

    Raises StoreUnavailable, ShardRefused (never ran, newer build), HistoryGoneError, StoreBehind (not there yet).
    """
    try:
        revision = 0 if seq is None else _revision_of(client, keys, seq)
        snapshot = read_shard(client, keys, at_revision=revision).snapshot
    except CompactedError as error:
        raise HistoryGoneError("the store's history no longer reaches back to that commit") from error
    if snapshot.head is None:
        raise NeverRun
    check_versions(snapshot.head, reducer_version=build.machine.version)
    restored = restore(snapshot, machine=build.machine, encoder=build.encoder)
    return Standing(snapshot.head, restored, snapshot.entities)


def _revision_of(client: EtcdClient, keys: ShardKeys, seq: int) -> int:
    heads = EtcdHeads(client, keys)
    newest = heads.newest()
    if newest is None:
        raise NeverRun
    found = first_where(heads, newest, lambda head: head.seq >= seq)
    if found is None:
        raise StoreBehind(f"the store's head has seq {newest.head.seq}, the commit log goes on to {seq}")
    if found.standing.head.seq != seq:
        raise HistoryGoneError(f"the oldest head that the store keeps has seq {found.standing.head.seq}")
    return found.standing.revision
