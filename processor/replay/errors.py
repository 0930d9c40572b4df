"""Why recorded events cannot be folded.

InvalidRequest
└── Unreplayable
    ├── RecordsGone       records that a commit reduced are not there any more, or not as many
    ├── LogBroken         the commit log itself cannot be read, or lacks a commit
    ├── TopicReplaced     an input was deleted and made again: its offsets mean other records
    └── SnapshotDamaged   a snapshot's file is cut short, altered, or of another shard
"""

from processor.engine.errors import InvalidRequest


class Unreplayable(InvalidRequest):
    """What was recorded is not whole; the message says what is missing, where, and what can still be done."""


class RecordsGone(Unreplayable):
    """Records of an input are missing; `seq` is the first commit that lacks them."""

    def __init__(self, message: str, *, seq: int) -> None:
        super().__init__(message)
        self.seq = seq


class LogBroken(Unreplayable):
    """A record of the commit log or an announcement is missing or unreadable."""


class TopicReplaced(Unreplayable):
    """An input topic is another one of the same name."""


class SnapshotDamaged(Unreplayable):
    """The file is no whole snapshot."""
