"""A shard's states as the store still has them: now, and as far back as it keeps its history."""

from collections.abc import Callable
from typing import Any

import msgspec

from processor.engine.errors import InvalidRequest, NeverRun
from processor.engine.machine import StateMachine
from processor.engine.outputs import rfc3339
from processor.engine.ports import Encoder
from processor.engine.recovery import check_versions, restore
from processor.engine.values import Head
from processor.etcd.client import EtcdClient
from processor.etcd.failures import CompactedError, HistoryGoneError
from processor.etcd.layout import ShardKeys
from processor.etcd.past import EtcdHeads, StandingHead
from processor.etcd.snapshot import read_shard
from processor.history.points import AtOffset, AtRevision, AtSeq, AtTime
from processor.history.revisions import First, before, first_where


class View(msgspec.Struct, frozen=True):
    """A state, the commit that left it, and where it was taken from, in words.

    `digest` is what the state sums up to (32 hex digits); `head_digest` what its commit said.
    """

    state: Any
    seq: int
    committed_ms: int
    digest: str
    head_digest: str
    source: str

    @property
    def whole(self) -> bool:
        """It is what its commit left: nobody changed it behind the head's back."""
        return self.digest == self.head_digest


class StoredStates:
    """The states of one shard in etcd, read without owning it.

    Everything raises StoreUnavailable, ShardRefused (never ran, newer build), InvalidRequest (no such point) and its
    subclass HistoryGoneError.
    """

    def __init__(
        self, client: EtcdClient, keys: ShardKeys, *, machine: StateMachine[Any, Any], encoder: Encoder
    ) -> None:
        self._client = client
        self._keys = keys
        self._heads = EtcdHeads(client, keys)
        self._machine = machine
        self._encoder = encoder

    def now(self) -> View:
        """Return what stands there."""
        return self._view(0, "the store")

    def at(self, point: AtSeq | AtTime | AtOffset | AtRevision) -> View:
        """Return the state at a point: that of the first revision whose head has its seq; at a revision, as it was."""
        try:
            match point:
                case AtRevision():
                    revision = self._checked(point.revision)
                case AtSeq():
                    revision = self._of_seq(point.seq)
                case AtTime():
                    revision = self._of_seq(self._seq_at_time(point.time_ms))
                case AtOffset():
                    revision = self._of_seq(self._seq_at_offset(point))
        except CompactedError as error:
            raise HistoryGoneError("the store's history no longer reaches back to that point") from error
        return self._view(revision, f"the store's history, revision {revision}")

    def _newest(self) -> StandingHead:
        newest = self._heads.newest()
        if newest is None:
            raise NeverRun
        return newest

    def _checked(self, revision: int) -> int:
        newest = self._newest()
        if revision > newest.revision:
            raise InvalidRequest(f"revision {revision} is in the future: the store is at {newest.revision}")
        if revision < newest.created:
            raise InvalidRequest(f"revision {revision} is before the beginning: the shard began at {newest.created}")
        return revision

    def _of_seq(self, seq: int) -> int:
        newest = self._newest()
        found = self._first(newest, lambda head: head.seq >= seq)
        if found is None:
            raise InvalidRequest(f"seq {seq} is in the future: the last commit is {newest.head.seq}")
        if found.standing.head.seq != seq:
            raise CompactedError(f"the oldest head that is kept has seq {found.standing.head.seq}")
        return found.standing.revision

    def _seq_at_time(self, time_ms: int) -> int:
        newest = self._newest()
        found = self._first(newest, lambda head: head.committed_ms > time_ms)
        if found is None:
            return newest.head.seq
        standing = before(self._heads, _certain(found))
        if standing is None:
            began = rfc3339(found.standing.head.committed_ms)
            raise InvalidRequest(f"{rfc3339(time_ms)} is before the beginning: the shard began at {began}")
        return standing.head.seq

    def _seq_at_offset(self, point: AtOffset) -> int:
        newest, place = self._newest(), f"{point.topic}[{point.partition}]@{point.offset}"
        if point.partition not in newest.head.positions.get(point.topic, {}):
            raise InvalidRequest(f"{point.topic}[{point.partition}] is no input: {_inputs(newest.head)}")
        found = self._first(newest, lambda head: _position(head, point) > point.offset)
        if found is None:
            position = _position(newest.head, point)
            raise InvalidRequest(f"{place} is not processed yet: the shard is at {position}")
        if _certain(found).head.seq == 0:
            start = _position(found.standing.head, point)
            raise InvalidRequest(f"{place} is before the beginning: the shard began at {start}")
        return found.standing.head.seq

    def _first(self, newest: StandingHead, holds: Callable[[Head], bool]) -> First | None:
        return first_where(self._heads, newest, holds)

    def _view(self, revision: int, source: str) -> View:
        snapshot = read_shard(self._client, self._keys, at_revision=revision).snapshot
        head = snapshot.head
        if head is None:
            raise NeverRun
        check_versions(head, reducer_version=self._machine.version)
        restored = restore(snapshot, machine=self._machine, encoder=self._encoder)
        # an older version's digest is over other bytes, and so says nothing about these
        comparable = head.reducer_version == self._machine.version
        stated = head.digest if comparable else restored.digest
        return View(restored.state, head.seq, head.committed_ms, restored.digest, stated, source)


def _certain(found: First) -> StandingHead:
    if not found.certain:
        raise CompactedError("what stood before is compacted")
    return found.standing


def _position(head: Head, point: AtOffset) -> int:
    return head.positions.get(point.topic, {}).get(point.partition, -1)


def _inputs(head: Head) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, positions in head.positions.items() for number in positions)
