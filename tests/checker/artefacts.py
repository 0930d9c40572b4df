"""What a run leaves behind, as plain values: all that the checker reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from processor.engine.inputs import Record
from tests.checker.single_object import Schemas

RecordId = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True)
class Published:
    """A record of an output topic and what its value says; `type` is the record's full name."""

    record: Record
    type: str
    value: Mapping[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        """The headers as text, what is no UTF-8 replaced; of several with one name the last counts."""
        return {name: (value or b"").decode(errors="replace") for name, value in self.record.headers}

    @property
    def seq(self) -> int:
        """The commit that it belongs to, by its headers."""
        return int(self.headers["processor-seq"])

    @property
    def epoch(self) -> int:
        """The fencing token of who committed it, by its headers."""
        return int(self.headers["processor-epoch"])


@dataclass(frozen=True)
class StoreDump:
    """One shard's keys: `head` as JSON, entities as stored, and what should be gone when all is quiet."""

    head: Mapping[str, Any]
    entities: Mapping[str, bytes]
    outbox: tuple[str, ...] = ()
    deltas: tuple[str, ...] = ()

    def position(self, topic: str, partition: int) -> int:
        """Return the next offset that would be read."""
        return int(self.head["positions"].get(topic, {}).get(str(partition), 0))


@dataclass(frozen=True)
class Artefacts:
    """One shard's run. Records are read_committed, in offset order a topic.

    `acknowledged` is where the broker put what the producers sent, `acknowledged_ms` when they heard of it, as far as
    they noted that; `inputs` are all records of both input topics. `raw` are the outputs' records as a
    read_uncommitted consumer sees them: what was aborted, too.
    """

    inputs: tuple[Record, ...]
    commits: tuple[Published, ...]
    changes: tuple[Published, ...]
    dead_letters: tuple[Published, ...]
    store: StoreDump
    acknowledged: tuple[RecordId, ...] = field(default=())
    acknowledged_ms: Mapping[RecordId, int] = field(default_factory=dict)
    raw: tuple[Record, ...] = ()


def published(record: Record, schemas: Schemas) -> Published:
    """Read a record of the changes or commits topic."""
    name, value = schemas.decode(record.value or b"")
    return Published(record, name, value)


def dead_letter(record: Record) -> Published:
    """Wrap a dead letter, whose value is what it was."""
    return Published(record, "", {})


def place_of(record: Record) -> RecordId:
    """Return where a record stands."""
    return record.topic, record.partition, record.offset
