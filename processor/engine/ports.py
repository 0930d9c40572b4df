"""What the engine needs from the world. Ports belong to the engine; adapters at the rim implement them.

Every port has one contract suite in tests/contracts that runs against memory and the real server.
A port's methods are called from one thread unless the docstring says otherwise.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from processor.engine.announcements import (
    Announcement,
    ChangeSource,
    CommitRecord,
    EventRejection,
    OutputRecord,
    Role,
    Tail,
)
from processor.engine.assignment import Members
from processor.engine.inputs import Decoded, LaneName, Positions, Record, TopicFacts, Undecodable
from processor.engine.limits import Capacity
from processor.engine.machine import Change
from processor.engine.positions import Stretches
from processor.engine.values import Attempts, Commit, Committed, Conflict, HeadView, Snapshot, TrimRequest


class Source(Protocol):
    """The two input lanes of one shard. Assigned, never subscribed, never paused."""

    def facts(self) -> TopicFacts:
        """Return topic ids and watermarks. Raises SourceUnavailable."""
        ...

    def assign(self, positions: Positions) -> None:
        """Start reading at these offsets; whatever was prefetched before is dropped."""
        ...

    def take(self, lane: LaneName, limit: int) -> list[Record]:
        """Return at most `limit` records that are here already, in partition order, without blocking.

        Raises SourceUnavailable, ShardRefused (offset out of range).
        """
        ...

    def wait(self, timeout_ms: int) -> None:
        """Return when a high record is here or the timeout passed, whichever is first."""
        ...

    def scanned(self) -> Stretches:
        """Return where the end was reached without a data record behind the last one that `take` returned.

        A stretch starts behind that record, or where reading was assigned to start.
        """
        ...

    def at_end(self) -> bool:
        """Tell whether nothing follows what was taken, or the ends were reached; as far as is known without asking."""
        ...

    def commit_group_offsets(self, positions: Positions) -> None:
        """Tell the broker the positions, asynchronously, for lag tools only; nothing reads them."""
        ...

    def close(self) -> None:
        """Release all resources; safe to call twice. `facts` begins anew."""
        ...


class EventDecoder(Protocol):
    """From a record to an event of the state machine. Total: whatever the bytes, one of the three comes back."""

    def decode(self, record: Record) -> Decoded:
        """Decode and validate one record within bounded time and memory; never raises for bad input."""
        ...

    def identify(self, record: Record) -> Undecodable:
        """Return an `Undecodable` with the record's cause, its value not decoded.

        Code and message are empty, except for a record that is too large to be decoded ever.
        """
        ...


class Encoder(Protocol):
    """From entities and changes to canonical bytes and back."""

    def encode(self, key: str, entity: Any) -> bytes:
        """Return the stored value of the entity `<kind>/<name>`: framing prefix and canonical body."""
        ...

    def size_bound(self, key: str, entity: Any) -> int:
        """Return what the stored value of an entity has at most, in bytes; much cheaper than encoding it."""
        ...

    def growth_bound(self, key: str, old: Any, new: Any) -> int:
        """Return how many bytes more than that of `old` the stored value of `new` has at most; costs what differs."""
        ...

    def decode(self, key: str, value: bytes) -> Any:
        """Return the entity; a value of an older schema is resolved. Raises ShardRefused when it cannot be read."""
        ...

    def is_current(self, key: str, value: bytes) -> bool:
        """Tell whether a stored value stands in this release's schema, as `encode` would write the entity again."""
        ...

    def body(self, value: bytes) -> bytes:
        """Return the canonical body (no prefix) of a stored value that `encode` of this release made."""
        ...

    def change(
        self, change: Change, *, before: bytes | None, after: bytes | None, source: ChangeSource, ts_ms: int
    ) -> Announcement:
        """Return the announcement of a change; `before` and `after` are stored values, spliced in as they are."""
        ...

    def rejection(self, rejection: EventRejection, *, source: ChangeSource, ts_ms: int) -> Announcement:
        """Return the announcement of a rejection (`EventRejected`, key `rejected/<event_id>`)."""
        ...

    def commit(self, record: CommitRecord) -> bytes:
        """Return the value of a commit-log record."""
        ...


class InFlight(Protocol):
    """A request under way."""

    def result(self) -> Committed | Conflict:
        """Wait for the answer. Raises OutcomeUnknown (only `again` may follow), InvalidRequest."""
        ...

    def again(self) -> None:
        """Send the identical request once more (same compares, same commit_id); `result` then waits for that."""
        ...


class Store(Protocol):
    """The shard's part of the store.

    A commit is one transaction to the engine, however large. The adapter keeps that true: images beyond the operations
    of a transaction *overflow* into a delta beside the outbox entry and are *materialised* to their keys by later
    transactions; what exceeds a request's bytes is *staged*: parts first, which nobody reads, then the transaction that
    writes `head` and makes them true. `load` merges the newest images, so neither shows. The engine's side: it sends
    one transaction at a time; it keeps batches within `capacity` (one event that exceeds it is committed all the same);
    it reduces nothing ahead of a commit that exceeds the bytes; it trims when idle, which materialises what is left.
    """

    def capacity(self) -> Capacity:
        """Return what one commit should carry at most (a single event may exceed it)."""
        ...

    def load(self) -> Snapshot:
        """Read everything at one revision, linearizable. Raises StoreUnavailable, ShardRefused (newer layout)."""
        ...

    def read_head(self) -> HeadView:
        """Read head and owner, linearizable, at one revision. Raises StoreUnavailable."""
        ...

    def send(self, commit: Commit) -> InFlight:
        """Begin a commit of any size (what exceeds the operations overflows, what exceeds the bytes is staged)."""
        ...

    def trim(self, trimming: TrimRequest) -> InFlight | None:
        """Begin a transaction that trims and materialises; None when there is nothing to do."""
        ...

    def suspects(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Return the keys of entities that were changed without the head, as far as history tells, ascending."""
        ...

    def try_record(self, attempts: Attempts, *, expected_revision: int, epoch: int) -> bool:
        """Put the crash counter under the two compares. False: refused. Raises StoreUnavailable."""
        ...


class Ownership(Protocol):
    """Who owns the shard: a lease decides when, the owner compare in every transaction decides whether."""

    def campaign(self) -> int | None:
        """Try to own the shard: the epoch, or None while somebody else does. Raises StoreUnavailable."""
        ...

    def verify(self, epoch: int) -> bool:
        """Read the owner linearizably: is it this epoch? Raises StoreUnavailable. Safe from any thread."""
        ...

    def alive(self) -> bool:
        """Return False once our lease was lost or could not be kept for its TTL. Safe from any thread."""
        ...

    def release(self, epoch: int, *, clean: bool) -> None:
        """Delete the owner key if its create_revision is this epoch; `clean` leaves the crash counter as clean."""
        ...

    def close(self) -> None:
        """Stop keeping the lease alive and revoke it; safe to call twice."""
        ...


class Membership(Protocol):
    """This process among those that share the shards."""

    @property
    def instance(self) -> str:
        """The id under which this process is listed; no other has it."""
        ...

    def look(self) -> Members:
        """Return the members, linearizable, at one revision. Raises StoreUnavailable.

        Looking registers this instance, for as long as its lease lives or until it leaves.
        """
        ...

    def leave(self) -> None:
        """Deregister this instance; what it owns stays its own. Raises StoreUnavailable."""
        ...


class Sink(Protocol):
    """The shard's partition of the three output topics, written in transactions."""

    def record_bytes_max(self) -> int:
        """Return the largest record (key, value, headers) that may be published."""
        ...

    def open(self) -> None:
        """Make a new producer and fence every older one. Raises SinkUnavailable."""
        ...

    def publish(self, records: Sequence[OutputRecord]) -> None:
        """Publish all of them in one transaction, in this order. Raises SinkUnclear: `open` must follow."""
        ...

    def tails(self) -> dict[Role, Tail]:
        """Read the last data record of each output partition, read_committed.

        Raises SinkUnavailable, ShardRefused (a foreign open transaction hides the tail).
        """
        ...

    def close(self) -> None:
        """Discard the producer; safe to call twice."""
        ...


class Ticker(Protocol):
    """Produces the event that wakes the state machine."""

    def tick(self, at_ms: int) -> None:
        """Send one tick with this time to the shard's own partition, without waiting for it to arrive.

        A tick that is lost is no harm: the next one comes while something is still due.
        """
        ...

    def close(self) -> None:
        """Release all resources; safe to call twice. `tick` begins anew."""
        ...


class Clock(Protocol):
    """Time, handed in."""

    def now_ms(self) -> int:
        """Return wall time in ms since the epoch."""
        ...

    def monotonic_s(self) -> float:
        """Return a clock for durations, in seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Pause; returns early when the service is asked to stop."""
        ...
