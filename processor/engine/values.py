"""What the store holds of a shard, and the requests that change it.

Times are milliseconds since the epoch, revisions are the store's. `Head`, `Attempts` and `AuditEntry` are stored
formats: JSON with these names.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.engine.announcements import (
    OutboxEntry,
    StoredEntry,
)

LAYOUT = 1
"""The form of the keys and of `Head`; raised when either changes."""


class AuditEntry(msgspec.Struct, frozen=True):
    """One entry of a shard's audit log, written in the transaction of what it tells.

    `at_ms` is its place in the log, `action` the command, `by` who gave it, `seq` the head's afterwards; `facts` are
    plain JSON.
    """

    at_ms: int
    action: str
    by: str
    seq: int
    facts: dict[str, Any]


class Identity(msgspec.Struct, frozen=True):
    """Who writes: the shard and the cluster that it holds."""

    app: str
    shard: int
    cluster: str
    reducer_version: int


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
    epoch of its commit, so the owner compare takes `epoch`, that of the trimming owner. `audit` goes into the audit
    log. `scanned_further`: `head.scanned` is worth a transaction, even if there is nothing else to do.
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
