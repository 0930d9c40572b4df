"""What goes out: announcements, dead letters and commit-log records, and the outbox entries that hold them.

`Announcement`, `DeadLetter` and `OutboxEntry` are stored formats: the outbox in the store holds them as they are here.
"""

from typing import Literal

import msgspec

from processor.engine.inputs import Cause, Headers, Range

Role = Literal["high", "normal", "changes", "commits", "dead-letters"]


CHANGES: Role = "changes"


COMMITS: Role = "commits"


DEAD_LETTERS: Role = "dead-letters"


OUTPUT_ROLES: tuple[Role, ...] = (CHANGES, COMMITS, DEAD_LETTERS)


Outcome = Literal["applied", "unchanged", "rejected", "dead_lettered"]


CommitKind = Literal["batch", "repair", "upgrade", "rebuild", "gap"]


Omitted = Literal["before", "after", "transitions"]
"""A part of a change that may be left out of its announcement."""


class OutcomeRun(msgspec.Struct, frozen=True, gc=False):
    """`count` successive records with the same outcome."""

    outcome: Outcome
    count: int


class ChangeSource(msgspec.Struct, frozen=True, gc=False):
    """Where in the shard's history an announcement stands (record `Source` of the change schemas)."""

    cluster: str
    shard: int
    epoch: int
    seq: int
    index: int
    count: int
    number: int
    previous_revision: int
    reducer_version: int


class EventRejection(msgspec.Struct, frozen=True):
    """An event that the state machine or the border rejected."""

    cause: Cause
    code: str
    message: str


class Announcement(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One record of the changes topic to be; a stored format: MessagePack in an outbox entry, fields by name.

    `key` is `<kind>/<name>` or `rejected/<event_id>`, `type` the full record name, `value` Avro with its framing. seq,
    index and headers follow from its place in the entry. `omitted`: the parts of a change that were left out because
    the record would be too large.
    """

    key: str
    type: str
    value: bytes
    traceparent: str | None = None
    omitted: tuple[Omitted, ...] = ()


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """One record of the dead-letters topic to be; a stored format: MessagePack in an outbox entry, fields by name.

    Key and value are those of the original record, truncated where they are too large; `headers` has the original's
    first, then ours (`outputs`).
    """

    key: bytes | None
    value: bytes | None
    headers: Headers


class CommitRecord(msgspec.Struct, frozen=True):
    """One record of the commit log: what made this commit, in the order it was reduced, and the limits in force.

    Encoded by `schemas/commits/Commit.avsc`, which says what each field means. `attempts` counts transactions with
    different contents that were sent for this seq in a row: 1, and one more for each that met a conflict. The same
    bytes sent again for want of an answer are one attempt.
    """

    seq: int
    epoch: int
    shard: int
    cluster: str
    kind: CommitKind
    previous_revision: int
    committed_ms: int
    reducer_version: int
    ranges: tuple[Range, ...]
    outcomes: tuple[OutcomeRun, ...]
    changed: int
    rejected: int
    dead_lettered: int
    first_number: int
    announcements: int
    attempts: int
    guard: bool
    digest: bytes
    previous_digest: bytes
    entity_bytes_max: int = 0
    value_bytes_max: int = 0
    record_bytes_max: int = 0


class OutboxEntry(msgspec.Struct, frozen=True):
    """Everything that one commit has to publish; a stored format, MessagePack with fields by name.

    `first_number` is the number of its first announcement, `commit_record` the encoded `CommitRecord`. It is published
    by whoever owns the shard then, perhaps a later build: fields may be added with a default, never renamed.
    """

    seq: int
    epoch: int
    committed_ms: int
    first_number: int
    announcements: tuple[Announcement, ...]
    dead_letters: tuple[DeadLetter, ...]
    commit_record: bytes


class StoredEntry(msgspec.Struct, frozen=True):
    """An outbox entry as committed; `revision` is the mod_revision of its key, the store's revision of the commit."""

    entry: OutboxEntry
    revision: int


class OutputRecord(msgspec.Struct, frozen=True, gc=False):
    """One record to produce to the shard's partition of the topic with this role."""

    role: Role
    key: bytes | None
    value: bytes | None
    headers: Headers


class Tail(msgspec.Struct, frozen=True):
    """The last data record of one output partition.

    `seq` None: no data record is there; `emptied` then tells retention (low watermark > 0) from never written.
    `index` and `count` are 0 and 1 for the commit log.
    """

    seq: int | None
    epoch: int = 0
    index: int = 0
    count: int = 1
    number: int = -1
    emptied: bool = False
