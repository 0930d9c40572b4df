"""A shard's states as the store still has them: now, and as far back as it keeps its history.

etcd keeps every revision until it is compacted, and a shard's commits are rare among them: other shards, leases and
owners write, too. What a commit writes into the head never falls: seq, positions, and times as far as the owners'
clocks agree. So each point is reached at the first revision whose head satisfies a condition that holds for all later
ones, and halving the revisions finds it: some thirty reads among a thousand million.

A compacted revision cannot be read: the search goes on above it, and the result is then uncertain, because an earlier
head may have been the first. A point that needs the commit before (a time) or the exact one (a seq) is gone then, which
HistoryGoneError says, and `replay.states` folds the records instead. A revision is read whole: all keys of the shard
as of that revision, so that head and entities belong together whatever is committed meanwhile.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

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
from processor.history.points import AtOffset, AtRevision, AtSeq, AtTime, Past


class View(msgspec.Struct, frozen=True):
    """A state, the commit that left it, and in words where it was read from.

    `digest` is computed from the state, `head_digest` is the one that its commit recorded; 32 hex digits, or "" where
    the source has none.
    """

    state: Any
    seq: int
    committed_ms: int
    digest: str
    head_digest: str
    source: str

    @property
    def whole(self) -> bool:
        """Whether it is what its commit left: no key was changed without the head."""
        return self.digest == self.head_digest


class StoredState(msgspec.Struct, frozen=True):
    """A head of the store and the state beside it, decoded; `digest` is computed from the state, 32 hex digits."""

    head: Head
    state: Any
    digest: str


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
        """Return the state now."""
        return _view(self._read(0), "the store", version=self._machine.version)

    def at(self, point: Past) -> View:
        """Return the state at a point: that of the first revision whose head has its seq; at a revision, as it was."""
        with _history():
            match point:
                case AtRevision():
                    revision = self._checked(point.revision)
                case AtSeq():
                    revision = self._revision_of(point.seq)
                case AtTime():
                    revision = self._revision_of(self._seq_at_time(point.time_ms))
                case AtOffset():
                    revision = self._revision_of(self._seq_at_offset(point))
            found = self._read(revision)
        return _view(found, f"the store's history, revision {revision}", version=self._machine.version)

    def of_commit(self, seq: int) -> StoredState | None:
        """Return what commit `seq` left; None where the store has not come so far."""
        with _history():
            return self._read(self._revision_of(seq)) if self.last_seq() >= seq else None

    def last_seq(self) -> int:
        """Return the seq of the head now."""
        return self._newest().head.seq

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

    def _revision_of(self, seq: int) -> int:
        newest = self._newest()
        found = first_where(self._heads, newest, lambda head: head.seq >= seq)
        if found is None:
            raise InvalidRequest(f"seq {seq} is in the future: the last commit is {newest.head.seq}")
        if found.standing.head.seq != seq:
            raise CompactedError(f"the oldest head that is kept has seq {found.standing.head.seq}")
        return found.standing.revision

    def _seq_at_time(self, time_ms: int) -> int:
        newest = self._newest()
        found = first_where(self._heads, newest, lambda head: head.committed_ms > time_ms)
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
        found = first_where(self._heads, newest, lambda head: _position(head, point) > point.offset)
        if found is None:
            position = _position(newest.head, point)
            raise InvalidRequest(f"{place} is not processed yet: the shard is at {position}")
        if _certain(found).head.seq == 0:
            start = _position(found.standing.head, point)
            raise InvalidRequest(f"{place} is before the beginning: the shard began at {start}")
        return found.standing.head.seq

    def _read(self, revision: int) -> StoredState:
        """Return the state at a revision, 0: now."""
        snapshot = read_shard(self._client, self._keys, at_revision=revision).snapshot
        if snapshot.head is None:
            raise NeverRun
        check_versions(snapshot.head, reducer_version=self._machine.version)
        restored = restore(snapshot, machine=self._machine, encoder=self._encoder)
        return StoredState(snapshot.head, restored.state, restored.digest)


class Heads(Protocol):
    """A shard's head now and at past revisions."""

    def newest(self) -> StandingHead | None:
        """Return the head now, None when the shard never ran."""
        ...

    def at(self, revision: int) -> StandingHead | None:
        """Return the head at a revision, None when there was none yet. Raises CompactedError."""
        ...


class First(msgspec.Struct, frozen=True):
    """The first head for which a condition holds, at the lowest readable revision that has it.

    Not `certain`: the revisions before it are compacted, so that an earlier head may have been the first.
    """

    standing: StandingHead
    certain: bool


def first_where(heads: Heads, newest: StandingHead, holds: Callable[[Head], bool]) -> First | None:
    """Return the first head for which a condition holds that holds for all later ones, None if not for the newest."""
    if not holds(newest.head):
        return None
    low, high, found, certain = newest.created, newest.modified, newest, True
    while low < high:
        middle = (low + high) // 2
        try:
            standing = heads.at(middle)
        except CompactedError:
            low, certain = middle + 1, False
            continue
        if standing is not None and holds(standing.head):
            high, found = max(low, standing.modified), standing
        else:
            low, certain = middle + 1, True
    return First(_as_written(heads, found), certain)


def before(heads: Heads, after: StandingHead) -> StandingHead | None:
    """Return the head before this one, None when it is the first. Raises CompactedError."""
    return None if after.modified == after.created else heads.at(after.modified - 1)


@contextmanager
def _history() -> Iterator[None]:
    try:
        yield
    except CompactedError as error:
        raise HistoryGoneError("the store's history no longer reaches back to that point") from error


def _view(found: StoredState, source: str, *, version: int) -> View:
    head = found.head
    # an older version's digest is over other bytes, and so says nothing about these
    stated = head.digest if head.reducer_version == version else found.digest
    return View(found.state, head.seq, head.committed_ms, found.digest, stated, source)


def _as_written(heads: Heads, seen: StandingHead) -> StandingHead:
    """Return a head at the revision that wrote it; where that is compacted, at the one where it was seen."""
    try:
        return heads.at(seen.modified) or seen
    except CompactedError:
        return seen


def _certain(found: First) -> StandingHead:
    if not found.certain:
        raise CompactedError("what stood before is compacted")
    return found.standing


def _position(head: Head, point: AtOffset) -> int:
    return head.positions.get(point.topic, {}).get(point.partition, -1)


def _inputs(head: Head) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, positions in head.positions.items() for number in positions)
