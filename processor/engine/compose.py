"""From a reduced, encoded batch to the one commit that makes it true. Pure."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from processor.engine.announcements import (
    Announcement,
    ChangeSource,
    CommitKind,
    CommitRecord,
    EventRejection,
    Omitted,
    OutboxEntry,
    OutcomeRun,
)
from processor.engine.digest import digest_bytes, digest_hex
from processor.engine.images import Encoded, EncodedChange
from processor.engine.inputs import Positions, Range, Record, Undecodable
from processor.engine.machine import Change
from processor.engine.outputs import DeadLetterFacts, dead_letter, letter_bytes
from processor.engine.ports import Encoder
from processor.engine.positions import MutablePositions, Stretches, scanned_after
from processor.engine.sizes import UNLIMITED, SizeLimits
from processor.engine.values import Commit, Head, Identity, Image

OMISSIONS: tuple[tuple[Omitted, ...], ...] = (
    ("before",),
    ("before", "transitions"),
    ("before", "after"),
    ("before", "after", "transitions"),
)
"""What is left out of a change that is too large to be published, tried in this order."""


class UnstampedCommit(msgspec.Struct, frozen=True, kw_only=True):
    """All of a commit but what `Stamp` adds.

    `after` is the state that it leads to, `encoded` the changes that lead there. `dead` are records and why each
    becomes a dead letter. `sizes` are the limits that its events met.
    """

    kind: CommitKind = "batch"
    after: Any
    encoded: Encoded
    rejections: tuple[EventRejection, ...] = ()
    dead: tuple[tuple[Record, Undecodable], ...] = ()
    ranges: tuple[Range, ...] = ()
    outcomes: tuple[OutcomeRun, ...] = ()
    positions: Positions = {}
    traceparent: str | None = None
    guard: bool = False
    sizes: SizeLimits = UNLIMITED

    @property
    def announcements(self) -> int:
        """How many records of the changes topic it makes."""
        return len(self.encoded.changes) + len(self.rejections)


class Stamp(msgspec.Struct, frozen=True):
    """What is known only when the commit is sent.

    `attempts`: which try it is to commit this seq, counted from 1. `clear_attempts`: delete the crash counter.
    `record_bytes_max` 0: records of any size can be published.
    """

    head: Head
    revision: int
    epoch: int
    now_ms: int
    commit_id: str
    announced_seq: int
    clear_attempts: bool = False
    attempts: int = 1
    record_bytes_max: int = 0
    stretches: Stretches = {}


def compose(unstamped: UnstampedCommit, stamp: Stamp, *, identity: Identity, encoder: Encoder) -> Commit:
    """Return the commit that follows `stamp.head`."""
    seq = stamp.head.seq + 1
    announcements = tuple(_announcements(unstamped, stamp, identity, encoder))
    facts = DeadLetterFacts(seq, stamp.epoch, identity.shard, len(unstamped.dead))
    entry = OutboxEntry(
        seq=seq,
        epoch=stamp.epoch,
        committed_ms=stamp.now_ms,
        first_number=stamp.head.announcements,
        announcements=announcements,
        dead_letters=tuple(
            dead_letter(record, why, facts, index=index, bytes_max=stamp.record_bytes_max)
            for index, (record, why) in enumerate(unstamped.dead)
        ),
        commit_record=encoder.commit(_commit_record(unstamped, stamp, identity)),
    )
    return Commit(
        expected_revision=stamp.revision,
        head=_next_head(unstamped, stamp, identity),
        images=tuple([Image(item.key, item.after.value if item.after else None) for item in unstamped.encoded.changes]),
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
    sizes += [record_bytes(item) for item in entry.announcements]
    sizes += [letter_bytes(letter) for letter in entry.dead_letters]
    return max(sizes)


def record_bytes(announcement: Announcement) -> int:
    """Return the size of the record that an announcement becomes, but for its headers."""
    return len(announcement.key) + len(announcement.value)


def _announcements(
    unstamped: UnstampedCommit, stamp: Stamp, identity: Identity, encoder: Encoder
) -> Iterator[Announcement]:
    count, first, seq = unstamped.announcements, stamp.head.announcements, stamp.head.seq + 1
    ts_ms, make = stamp.now_ms, encoder.change
    cluster, shard, version = identity.cluster, identity.shard, identity.reducer_version
    epoch, revision = stamp.epoch, stamp.revision
    for index, item in enumerate(unstamped.encoded.changes):
        source = ChangeSource(cluster, shard, epoch, seq, index, count, first + index, revision, version)
        before = item.before.value if item.before is not None else None
        after = item.after.value if item.after is not None else None
        made = make(item.change, before=before, after=after, source=source, ts_ms=ts_ms)
        if stamp.record_bytes_max and record_bytes(made) > stamp.record_bytes_max:
            made = _shortened(made, item, partial(make, source=source, ts_ms=ts_ms), stamp.record_bytes_max)
        yield _traced(made, unstamped.traceparent)
    for index, rejection in enumerate(unstamped.rejections, start=len(unstamped.encoded.changes)):
        source = ChangeSource(cluster, shard, epoch, seq, index, count, first + index, revision, version)
        yield _traced(encoder.rejection(rejection, source=source, ts_ms=ts_ms), rejection.cause.traceparent)


def _shortened(
    made: Announcement, item: EncodedChange, make: Callable[..., Announcement], bytes_max: int
) -> Announcement:
    """Return the announcement without as much as has to be left out: `before` first, what it became last.

    Agents can tell the transitions from the entity, but not the entity from its transitions.
    """
    before, after = (None if side is None else side.value for side in (item.before, item.after))
    bare = _WithoutTransitions(item.change)
    for omitted in OMISSIONS:
        change = bare if "transitions" in omitted else item.change
        sides = {"before": None if "before" in omitted else before, "after": None if "after" in omitted else after}
        shorter = msgspec.structs.replace(make(change, **sides), omitted=_present(omitted, item))
        if record_bytes(shorter) <= bytes_max:
            return shorter
    return made


def _present(omitted: tuple[Omitted, ...], item: EncodedChange) -> tuple[Omitted, ...]:
    """Return those of the parts that the change has."""
    there = {"before": item.before, "after": item.after, "transitions": item.change.transitions or None}
    return tuple([part for part in omitted if there[part] is not None])


class _WithoutTransitions:
    """A change without its transitions: only the entity before and after."""

    transitions = ()

    def __init__(self, change: Change) -> None:
        self.kind, self.name, self.op, self.key = change.kind, change.name, change.op, change.key
        self.before, self.after = change.before, change.after


def _traced(announcement: Announcement, traceparent: str | None) -> Announcement:
    if traceparent is None:
        return announcement
    return msgspec.structs.replace(announcement, traceparent=traceparent)


def _commit_record(unstamped: UnstampedCommit, stamp: Stamp, identity: Identity) -> CommitRecord:
    return CommitRecord(
        seq=stamp.head.seq + 1,
        epoch=stamp.epoch,
        shard=identity.shard,
        cluster=identity.cluster,
        kind=unstamped.kind,
        previous_revision=stamp.revision,
        committed_ms=stamp.now_ms,
        reducer_version=identity.reducer_version,
        ranges=unstamped.ranges,
        outcomes=unstamped.outcomes,
        changed=len(unstamped.encoded.changes),
        rejected=len(unstamped.rejections),
        dead_lettered=len(unstamped.dead),
        first_number=stamp.head.announcements,
        announcements=unstamped.announcements,
        attempts=stamp.attempts,
        guard=unstamped.guard,
        digest=digest_bytes(unstamped.encoded.digest),
        previous_digest=bytes.fromhex(stamp.head.digest),
        entity_bytes_max=unstamped.sizes.entity_bytes_max,
        value_bytes_max=unstamped.sizes.value_bytes_max,
        record_bytes_max=stamp.record_bytes_max,
    )


def _next_head(unstamped: UnstampedCommit, stamp: Stamp, identity: Identity) -> Head:
    return msgspec.structs.replace(
        stamp.head,
        seq=stamp.head.seq + 1,
        epoch=stamp.epoch,
        commit_id=stamp.commit_id,
        committed_ms=stamp.now_ms,
        positions=_plain(unstamped.positions),
        digest=digest_hex(unstamped.encoded.digest),
        reducer_version=identity.reducer_version,
        announcements=stamp.head.announcements + unstamped.announcements,
        announced_seq=max(stamp.head.announced_seq, stamp.announced_seq),
        scanned=scanned_after(stamp.head, unstamped.positions, stamp.stretches),
        # a gap does not look at the state, so a repair that nobody has announced is not announced by it either
        repaired=stamp.head.repaired if unstamped.kind == "gap" else {},
    )


def _plain(positions: Positions) -> MutablePositions:
    return {topic: dict(partitions) for topic, partitions in positions.items()}
