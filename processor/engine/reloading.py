"""After somebody changed the head by hand: which state was meant, and what to commit of the edit.

The state before is one of ours where the owner met the edit, or the one that the repair itself left in the head.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from processor.engine.announcements import CommitKind
from processor.engine.compose import UnstampedCommit
from processor.engine.images import Encoded
from processor.engine.inputs import Positions
from processor.engine.machine import StateMachine
from processor.engine.ports import Encoder
from processor.engine.recovery import Restored, before_repair
from processor.engine.values import Head, Snapshot


class Candidate(msgspec.Struct, frozen=True):
    """A state of ours, committed or sent, and its digest (32 hex digits)."""

    state: Any
    digest: str


class Mending(msgspec.Struct, frozen=True):
    """The state that has the head's digest, and the commit that leads from it to what stands in the store, if any."""

    before: Any
    draft: UnstampedCommit | None = None


def mend(
    snapshot: Snapshot,
    head: Head,
    restored: Restored,
    candidates: Sequence[Candidate],
    *,
    machine: StateMachine[Any, Any],
    encoder: Encoder,
) -> Mending | None:
    """Return what a load has to commit; `head` is the snapshot's, with the positions to go on from.

    None: neither a candidate nor the state that the head tells of has the head's digest, so the edit cannot be told.

    A state made by an older reducer has no digest that could be compared: as at a take-over, an upgrade takes it as
    it stands.
    """
    if head.reducer_version < machine.version:
        return Mending(restored.state, upgrade_draft(restored, head.positions))
    if restored.digest == head.digest:
        return Mending(restored.state)
    before = next((item.state for item in candidates if item.digest == head.digest), None)
    if before is None:
        told = before_repair(snapshot, machine=machine, encoder=encoder)
        if told is None:
            return None
        before = told.state
    changes = machine.diff(before, restored.state)
    return Mending(before, _draft("repair", restored, restored.images.encode(changes), head.positions))


def upgrade_draft(restored: Restored, positions: Positions) -> UnstampedCommit:
    """Return the commit of kind `upgrade`: no ranges, no announcements, the state as this build encodes it."""
    return _draft("upgrade", restored, restored.images.encode(()), positions)


def _draft(kind: CommitKind, restored: Restored, encoded: Encoded, positions: Positions) -> UnstampedCommit:
    return UnstampedCommit(
        kind=kind,
        after=restored.state,
        encoded=msgspec.structs.replace(encoded, digest=restored.images.digest),
        positions=positions,
    )
