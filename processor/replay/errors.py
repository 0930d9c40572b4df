"""Why recorded events cannot be folded.

InvalidRequest
└── Unreplayable
    ├── RecordsGone       records that a commit reduced are no longer kept, or fewer than it counted
    ├── LogBroken         the commit log cannot be read, lacks a commit, or contradicts the other topics
    ├── TopicReplaced     an input was deleted and created anew: its offsets mean other records
    └── SnapshotDamaged   a snapshot's file is cut short, altered, or of another shard
"""

from processor.engine.errors import InvalidRequest


class Unreplayable(InvalidRequest):
    """The recording is not complete; the message says what is missing, where, and what can still be done."""


class RecordsGone(Unreplayable):
    """Records of an input are missing; `seq` is the first commit that lacks them."""

    def __init__(self, message: str, *, seq: int) -> None:
        super().__init__(message)
        self.seq = seq


class LogBroken(Unreplayable):
    """A record of the commit log or an announcement is missing or unreadable."""


class TopicReplaced(Unreplayable):
    """An input topic was deleted and created anew under the same name."""


class SnapshotDamaged(Unreplayable):
    """The file is not a complete snapshot of this shard."""
