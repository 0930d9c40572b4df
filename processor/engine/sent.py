"""A commit under way, and the report of it once its outcome is known."""

import msgspec

from processor.engine.compose import UnstampedCommit
from processor.engine.ports import InFlight
from processor.engine.preparation import Prepared
from processor.engine.reports import Events, StepReport
from processor.engine.tip import Carried
from processor.engine.values import Commit, Identity


class Sent(msgspec.Struct, frozen=True):
    """A commit under way and what it was made from; `prepared` is None for one that no batch made."""

    in_flight: InFlight
    commit: Commit
    draft: UnstampedCommit
    prepared: Prepared | None
    carried: Carried
    sent_s: float

    def events(self) -> Events:
        """Return the events that it settles: those carried to it first."""
        own = (self.prepared.reduced,) if self.prepared else ()
        return Events((*self.carried.reduced, *own))


def report_of(
    sent: Sent, events: Events, *, identity: Identity, conflicts: int, resends: int, settled_s: float
) -> StepReport:
    """Return the report of a commit that is known to be made."""
    commit, prepared = sent.commit, sent.prepared
    entry = commit.outbox
    batch = prepared.batch if prepared else None
    return StepReport(
        shard=identity.shard,
        epoch=commit.head.epoch,
        seq=commit.head.seq,
        kind=sent.draft.kind,
        committed_ms=commit.head.committed_ms,
        events=events,
        changes=tuple([item.change for item in sent.draft.encoded.changes]),
        announcement_types=tuple([item.type for item in entry.announcements]) if entry else (),
        high=batch.high if batch else 0,
        overtook=batch.overtook if batch else 0,
        guard=sent.draft.guard,
        conflicts=conflicts,
        resends=resends,
        digest=commit.head.digest,
        seconds={**(prepared.seconds if prepared else {}), "commit": settled_s - sent.sent_s},
    )
