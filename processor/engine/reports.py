"""What one step did: the only thing that middleware sees."""

from collections.abc import Callable, Mapping

import msgspec

from processor.engine.machine import Change
from processor.engine.values import Cause, CommitKind, Outcome


class EventReport(msgspec.Struct, frozen=True):
    """One event and its outcome; `code` and `message` tell why it was rejected or dead-lettered."""

    cause: Cause
    outcome: Outcome
    at_ms: int
    code: str = ""
    message: str = ""


class StepReport(msgspec.Struct, frozen=True, kw_only=True):
    """One step, reported once its commit is known: events that changed nothing come with the next commit.

    `seconds` has a duration a phase: poll, decode, reduce (with diff), encode, commit. `overtook` counts the high
    records that went before waiting normal ones.
    """

    shard: int
    epoch: int
    seq: int
    kind: CommitKind = "batch"
    committed_ms: int
    events: tuple[EventReport, ...] = ()
    changes: tuple[Change, ...] = ()
    announcement_types: tuple[str, ...] = ()
    high: int = 0
    overtook: int = 0
    guard: bool = False
    conflicts: int = 0
    resends: int = 0
    digest: str = ""
    seconds: Mapping[str, float] = {}


Middleware = Callable[[StepReport], None]
