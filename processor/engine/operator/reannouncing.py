"""Commits that may or may not have been published: an operator decides, once, that they were or were not."""

from typing import Any

import msgspec

from processor.engine.announcements import StoredEntry
from processor.engine.errors import OwnershipLost, ShardRefused
from processor.engine.operator.transaction import known_head, owned, settled
from processor.engine.parts import Parts
from processor.engine.tails import Doubt, Reached, assumed, check_not_ahead, doubts, remaining
from processor.engine.values import AuditEntry, Head, Snapshot, TrimRequest


class Uncertainty(msgspec.Struct, frozen=True):
    """The commits in doubt, and by which emptied partitions; `reached` is what is published if none of them is."""

    head: Head
    doubts: tuple[Doubt, ...]
    entries: tuple[StoredEntry, ...]
    reached: Reached

    @property
    def through(self) -> int:
        """The last commit in doubt."""
        return max(seq for doubt in self.doubts for seq in doubt.seqs)


def plan_announcing(parts: Parts) -> Uncertainty:
    """Return what is in doubt. Raises ShardRefused (no state, newer build), StoreUnavailable, SinkUnavailable."""
    return _look(parts)[0]


def announce_again(parts: Parts, *, by: str) -> Uncertainty:
    """Publish what is in doubt, and what is not there for sure, up to the last commit in doubt.

    Raises OwnershipLost (owned elsewhere), ShardRefused (nothing is in doubt), SinkUnclear (say it again).
    """
    with owned(parts) as epoch:
        uncertainty, snapshot = _decidable(parts, epoch)
        for stored in uncertainty.entries:
            records = remaining(stored, uncertainty.reached, parts.identity)
            if records:
                parts.sink.publish(records)
        _trim(parts, uncertainty, snapshot, epoch=epoch, action="announce-again", by=by)
        return uncertainty


def announce_skip(parts: Parts, *, by: str) -> Uncertainty:
    """Treat what is in doubt as published. Raises as `announce_again`."""
    with owned(parts) as epoch:
        uncertainty, snapshot = _decidable(parts, epoch)
        _trim(parts, uncertainty, snapshot, epoch=epoch, action="announce-skip", by=by)
        return uncertainty


def facts_of(uncertainty: Uncertainty) -> dict[str, Any]:
    """Return what is in doubt as plain JSON."""
    emptied = {doubt.role: set(doubt.seqs) for doubt in uncertainty.doubts}
    commits = [
        {
            "seq": stored.entry.seq,
            "committed_ms": stored.entry.committed_ms,
            "first_number": stored.entry.first_number,
            "announcements": len(stored.entry.announcements),
            "dead_letters": len(stored.entry.dead_letters),
            "in_doubt_in": [role for role, seqs in emptied.items() if stored.entry.seq in seqs],
        }
        for stored in uncertainty.entries
    ]
    return {"announced_seq": uncertainty.head.announced_seq, "commits": commits}


def _decidable(parts: Parts, epoch: int) -> tuple[Uncertainty, Snapshot]:
    """Fence every older producer before the tails are read: what it has under way would change them."""
    parts.sink.open()
    uncertainty, snapshot = _look(parts)
    if snapshot.owner_epoch != epoch:
        raise OwnershipLost("another instance owns the shard")
    if not uncertainty.doubts:
        raise ShardRefused("the output tells what was published: there is nothing to decide")
    return uncertainty, snapshot


def _look(parts: Parts) -> tuple[Uncertainty, Snapshot]:
    tails = parts.sink.tails()
    snapshot = parts.store.load()
    head = known_head(parts, snapshot)
    check_not_ahead(tails, head_seq=head.seq)
    found = doubts(tails, announced_seq=head.announced_seq, outbox=snapshot.outbox)
    seqs = {seq for doubt in found for seq in doubt.seqs}
    entries = tuple(stored for stored in snapshot.outbox if seqs and head.announced_seq < stored.entry.seq <= max(seqs))
    return Uncertainty(head, found, entries, assumed(tails, announced_seq=head.announced_seq)), snapshot


def _trim(parts: Parts, uncertainty: Uncertainty, snapshot: Snapshot, *, epoch: int, action: str, by: str) -> None:
    head = msgspec.structs.replace(uncertainty.head, commit_id=f"{epoch}-{action}", announced_seq=uncertainty.through)
    entry = AuditEntry(parts.clock.now_ms(), action, by, head.seq, facts_of(uncertainty))
    in_flight = parts.store.trim(TrimRequest(snapshot.head_revision, head, epoch, entry))
    if in_flight is not None:
        settled(parts, in_flight)
