"""The values that travel through the engine: all immutable, none knows a technology.

Times are milliseconds since the epoch, offsets are Kafka offsets, revisions are the store's.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from processor.engine.audit import AuditEntry
from processor.engine.inputs import Headers

Positions = Mapping[str, Mapping[int, int]]
"""topic → partition → the next offset to consume."""

LaneName = Literal["high", "normal"]
HIGH: LaneName = "high"
NORMAL: LaneName = "normal"

Role = Literal["high", "normal", "changes", "commits", "dead-letters"]
CHANGES: Role = "changes"
COMMITS: Role = "commits"
DEAD_LETTERS: Role = "dead-letters"
OUTPUT_ROLES: tuple[Role, ...] = (CHANGES, COMMITS, DEAD_LETTERS)

Outcome = Literal["applied", "unchanged", "rejected", "dead_lettered"]
CommitKind = Literal["batch", "repair", "upgrade", "rebuild", "gap"]

Omitted = Literal["before", "after", "transitions"]
"""A part of a change that its announcement leaves out."""


LAYOUT = 1
"""The form of the keys and of `Head`; raised when either changes."""


class Cause(msgspec.Struct, frozen=True, gc=False):
    """Where an event came from."""

    topic: str
    partition: int
    offset: int
    event_id: str
    event_type: str
    traceparent: str | None = None


class Accepted(msgspec.Struct, frozen=True):
    """A decoded event that passed the border checks; `event` is the state machine's own type."""

    cause: Cause
    event: Any


class Invalid(msgspec.Struct, frozen=True):
    """A decoded event that failed the border checks: announced as `EventRejected`, code `invalid_event`."""

    cause: Cause
    message: str


class Undecodable(msgspec.Struct, frozen=True):
    """A record that becomes a dead letter; `code` is one of protocol's dead-letter codes."""

    cause: Cause
    code: str
    message: str
    exception: str = ""


Decoded = Accepted | Invalid | Undecodable


class Range(msgspec.Struct, frozen=True, gc=False):
    """Consecutive records of one partition, `start` inclusive, `end` exclusive, `count` data records."""

    topic: str
    partition: int
    start: int
    end: int
    count: int


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
    """An event that the state machine or the border refused."""

    cause: Cause
    code: str
    message: str


class Announcement(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What will be one record of the changes topic; (seq, index) and headers follow from its place in the entry.

    `omitted`: the parts of a change that it leaves out because it would be too large.
    """

    key: str
    type: str
    value: bytes
    traceparent: str | None = None
    omitted: tuple[Omitted, ...] = ()


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """What will be one record of the dead-letters topic: the original key, value and headers, then ours."""

    key: bytes | None
    value: bytes | None
    headers: Headers


class CommitRecord(msgspec.Struct, frozen=True):
    """One record of the commit log: what made this commit, in the order it was reduced, and the limits in force."""

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
    """Everything that one commit has to publish; `first_number` is the number of its first announcement."""

    seq: int
    epoch: int
    committed_ms: int
    first_number: int
    announcements: tuple[Announcement, ...]
    dead_letters: tuple[DeadLetter, ...]
    commit_record: bytes


class StoredEntry(msgspec.Struct, frozen=True):
    """An outbox entry as committed; `revision` is the mod_revision of its key."""

    entry: OutboxEntry
    revision: int


class Head(msgspec.Struct, frozen=True):
    """The one key that every commit writes and compares.

    `digest` is 32 hex digits, `announcements` the next announcement's number, `announced_seq` the highest
    seq acknowledged by all output partitions when it was written, `pending` the entity keys still to follow
    (filled in by the store), `scanned` up to where no data record follows a position: topic → partition → offset.
    `repaired`: what a repair by hand changed, not announced yet: entity → the value before, base64 (None: none).
    """

    seq: int
    epoch: int
    commit_id: str
    committed_ms: int
    positions: dict[str, dict[int, int]]
    topics: dict[str, str]
    digest: str
    reducer_version: int
    layout: int = LAYOUT
    announcements: int = 0
    announced_seq: int = 0
    pending: int = 0
    scanned: dict[str, dict[int, int]] = {}
    repaired: dict[str, str | None] = {}


class Image(msgspec.Struct, frozen=True, gc=False):
    """The new stored value of the entity `<kind>/<name>`; None removes it."""

    key: str
    value: bytes | None


class Commit(msgspec.Struct, frozen=True):
    """One guarded change of the shard.

    It holds only if the head's mod_revision is `expected_revision` (0: there is no head yet) and the owner
    key's create_revision is `head.epoch`. `outbox` is None for seq 0 alone. `clear_attempts` deletes the crash counter.
    `audit` goes into the audit log.
    """

    expected_revision: int
    head: Head
    images: tuple[Image, ...] = ()
    outbox: OutboxEntry | None = None
    clear_attempts: bool = False
    audit: AuditEntry | None = None

    @property
    def epoch(self) -> int:
        """What the owner key's create_revision has to be."""
        return self.head.epoch


class TrimRequest(msgspec.Struct, frozen=True):
    """A transaction that is no commit: trims the outbox up to `head.announced_seq` and materialises deltas.

    `head` differs from the committed one only in `commit_id`, `announced_seq`, `scanned` (and `pending`); it keeps the
    epoch of its commit, so the owner compare takes `epoch`, that of whoever tidies. `audit` goes into the audit log.
    `scanned_further`: `head.scanned` is worth a transaction, even if there is nothing else to do.
    """

    expected_revision: int
    head: Head
    epoch: int
    audit: AuditEntry | None = None
    scanned_further: bool = False


class Committed(msgspec.Struct, frozen=True):
    """The request succeeded at `revision`."""

    revision: int


class HeadView(msgspec.Struct, frozen=True):
    """What stands in the store instead of, or beside, what was expected. `head` None and revisions 0 mean absent."""

    head: Head | None
    head_revision: int
    owner_epoch: int


class Conflict(HeadView, frozen=True):
    """The compare failed: this is what stands there."""


class Tried(msgspec.Struct, frozen=True):
    """The record of one input partition that was tried last, and how many owners in a row have tried it."""

    topic: str
    partition: int
    offset: int
    count: int


class Attempts(msgspec.Struct, frozen=True):
    """The crash counter: the records being tried after an unclean start, or `clean`."""

    clean: bool = False
    tried: tuple[Tried, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """Everything of one shard at one revision. `entities` are (`<kind>/<name>`, stored value), newest images merged.

    `modified` gives the mod_revision of each entity's newest image, for naming foreign edits.
    """

    revision: int
    head: Head | None
    head_revision: int
    owner_epoch: int
    entities: tuple[tuple[str, bytes], ...]
    modified: Mapping[str, int]
    outbox: tuple[StoredEntry, ...]
    attempts: Attempts | None


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
