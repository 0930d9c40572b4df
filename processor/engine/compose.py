"""From a reduced, encoded batch to the one commit that makes it true. Pure."""

from collections.abc import Iterator
from typing import Any

import msgspec

from processor.engine.dead_letters import DeadLetterFacts, dead_letter
from processor.engine.digest import digest_bytes, digest_hex
from processor.engine.images import Encoded
from processor.engine.ports import Encoder
from processor.engine.positions import MutablePositions
from processor.engine.values import (
    Announcement,
    ChangeSource,
    Commit,
    CommitKind,
    CommitRecord,
    EventRejection,
    Head,
    Image,
    OutboxEntry,
    OutcomeRun,
    Positions,
    Range,
    Record,
    Undecodable,
)


class Identity(msgspec.Struct, frozen=True):
    """Who writes: the shard and the cluster that it holds."""

    app: str
    shard: int
    cluster: str
    reducer_version: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """All of a commit that does not depend on the revision that it will be compared with."""

    kind: CommitKind = "batch"
    after: Any
    encoded: Encoded
    rejections: tuple[EventRejection, ...] = ()
    dead: tuple[tuple[Record, Undecodable], ...] = ()
    ranges: tuple[Range, ...] = ()
    outcomes: tuple[OutcomeRun, ...] = ()
    positions: Positions = {}
    traceparent: str | None = None
    attempts: int = 0
    guard: bool = False

    @property
    def announcements(self) -> int:
        """How many records of the changes topic it makes."""
        return len(self.encoded.changes) + len(self.rejections)


class Stamp(msgspec.Struct, frozen=True):
    """What is known only when the commit is sent."""

    head: Head
    revision: int
    epoch: int
    now_ms: int
    commit_id: str
    announced_seq: int
    clear_attempts: bool = False


def compose(draft: Draft, stamp: Stamp, *, identity: Identity, encoder: Encoder) -> Commit:
    """Return the commit that follows `stamp.head`."""
    seq = stamp.head.seq + 1
    announcements = tuple(_announcements(draft, stamp, identity, encoder))
    facts = DeadLetterFacts(seq, stamp.epoch, identity.shard, len(draft.dead))
    entry = OutboxEntry(
        seq=seq,
        epoch=stamp.epoch,
        committed_ms=stamp.now_ms,
        first_number=stamp.head.announcements,
        announcements=announcements,
        dead_letters=tuple(
            dead_letter(record, why, facts, index=index) for index, (record, why) in enumerate(draft.dead)
        ),
        commit_record=encoder.commit(_commit_record(draft, stamp, identity)),
    )
    return Commit(
        expected_revision=stamp.revision,
        head=_next_head(draft, stamp, identity),
        images=tuple([Image(item.key, item.after.value if item.after else None) for item in draft.encoded.changes]),
        outbox=entry,
        clear_attempts=stamp.clear_attempts,
    )


def first_head(
    *, positions: Positions, topics: dict[str, str], digest: int, epoch: int, now_ms: int, identity: Identity
) -> Head:
    """Return the head of seq 0: the first transaction of a new shard, which announces nothing."""
    return Head(
        seq=0,
        epoch=epoch,
        commit_id=f"{epoch}-first",
        committed_ms=now_ms,
        positions=_plain(positions),
        topics=dict(topics),
        digest=digest_hex(digest),
        reducer_version=identity.reducer_version,
    )


def largest_record(commit: Commit) -> int:
    """Return the size of the largest record that the commit will publish: key, value and dead-letter headers."""
    entry = commit.outbox
    if entry is None:
        return 0
    sizes = [len(entry.commit_record)]
    sizes += [len(item.key) + len(item.value) for item in entry.announcements]
    for letter in entry.dead_letters:
        headers = sum(len(name) + len(value or b"") for name, value in letter.headers)
        sizes.append(len(letter.key or b"") + len(letter.value or b"") + headers)
    return max(sizes)


def _announcements(draft: Draft, stamp: Stamp, identity: Identity, encoder: Encoder) -> Iterator[Announcement]:
    count, first, seq = draft.announcements, stamp.head.announcements, stamp.head.seq + 1
    ts_ms, make = stamp.now_ms, encoder.change
    cluster, shard, version = identity.cluster, identity.shard, identity.reducer_version
    epoch, revision = stamp.epoch, stamp.revision
    for index, item in enumerate(draft.encoded.changes):
        source = ChangeSource(cluster, shard, epoch, seq, index, count, first + index, revision, version)
        before = item.before.value if item.before is not None else None
        after = item.after.value if item.after is not None else None
        made = make(item.change, before=before, after=after, source=source, ts_ms=ts_ms)
        yield _traced(made, draft.traceparent)
    for index, rejection in enumerate(draft.rejections, start=len(draft.encoded.changes)):
        source = ChangeSource(cluster, shard, epoch, seq, index, count, first + index, revision, version)
        yield _traced(encoder.rejection(rejection, source=source, ts_ms=ts_ms), rejection.cause.traceparent)


def _traced(announcement: Announcement, traceparent: str | None) -> Announcement:
    if traceparent is None:
        return announcement
    return msgspec.structs.replace(announcement, traceparent=traceparent)


def _commit_record(draft: Draft, stamp: Stamp, identity: Identity) -> CommitRecord:
    return CommitRecord(
        seq=stamp.head.seq + 1,
        epoch=stamp.epoch,
        shard=identity.shard,
        cluster=identity.cluster,
        kind=draft.kind,
        previous_revision=stamp.revision,
        committed_ms=stamp.now_ms,
        reducer_version=identity.reducer_version,
        ranges=draft.ranges,
        outcomes=draft.outcomes,
        changed=len(draft.encoded.changes),
        rejected=len(draft.rejections),
        dead_lettered=len(draft.dead),
        first_number=stamp.head.announcements,
        announcements=draft.announcements,
        attempts=draft.attempts,
        guard=draft.guard,
        digest=digest_bytes(draft.encoded.digest),
        previous_digest=bytes.fromhex(stamp.head.digest),
    )


def _next_head(draft: Draft, stamp: Stamp, identity: Identity) -> Head:
    return msgspec.structs.replace(
        stamp.head,
        seq=stamp.head.seq + 1,
        epoch=stamp.epoch,
        commit_id=stamp.commit_id,
        committed_ms=stamp.now_ms,
        positions=_plain(draft.positions),
        digest=digest_hex(draft.encoded.digest),
        reducer_version=identity.reducer_version,
        announcements=stamp.head.announcements + draft.announcements,
        announced_seq=max(stamp.head.announced_seq, stamp.announced_seq),
    )


def _plain(positions: Positions) -> MutablePositions:
    return {topic: dict(partitions) for topic, partitions in positions.items()}
