"""After somebody changed the head while we own the shard: which state was meant, and what to announce of the edit."""

from collections.abc import Sequence
from typing import Any

import msgspec

from processor.engine.compose import Draft
from processor.engine.machine import StateMachine
from processor.engine.recovery import Restored
from processor.engine.values import Positions


class Candidate(msgspec.Struct, frozen=True):
    """A state of ours, committed or sent, and its digest (32 hex digits)."""

    state: Any
    digest: str


def state_with(digest: str, candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate that has this digest."""
    return next((item for item in candidates if item.digest == digest), None)


def repair_draft(
    before: Candidate, restored: Restored, *, machine: StateMachine[Any, Any], positions: Positions
) -> Draft:
    """Return the commit of kind `repair`: no ranges, announcements are the edit's diff."""
    changes = machine.diff(before.state, restored.state)
    encoded = restored.images.encode(changes)
    return Draft(
        kind="repair",
        after=restored.state,
        encoded=msgspec.structs.replace(encoded, digest=restored.images.digest),
        positions=positions,
    )
