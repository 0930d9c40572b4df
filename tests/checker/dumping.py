"""A run's artefacts as files, one JSON document a shard, so that they can be judged elsewhere and later."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from processor.engine.inputs import Record
from tests.checker.artefacts import Artefacts, Published, RecordId, StoreDump, dead_letter, published
from tests.checker.single_object import Schemas

SUFFIX = ".artefacts.json"


class ShardFile(msgspec.Struct):
    """One shard's artefacts. Bytes are base64; `watched` is what a consumer that read along saw, None: nobody did."""

    inputs: tuple[Record, ...]
    commits: tuple[Record, ...]
    changes: tuple[Record, ...]
    dead_letters: tuple[Record, ...]
    raw: tuple[Record, ...]
    watched: tuple[Record, ...] | None
    acknowledged: tuple[RecordId, ...]
    acknowledged_ms: tuple[tuple[RecordId, int], ...]
    head: dict[str, Any]
    entities: dict[str, bytes]
    outbox: tuple[str, ...]
    deltas: tuple[str, ...]


def write(artefacts: Artefacts, directory: Path, name: str, *, watched: Iterable[Published] | None = None) -> Path:
    """Write a shard's artefacts under a name; return the file."""
    store = artefacts.store
    document = ShardFile(
        inputs=artefacts.inputs,
        commits=_records(artefacts.commits),
        changes=_records(artefacts.changes),
        dead_letters=_records(artefacts.dead_letters),
        raw=artefacts.raw,
        watched=None if watched is None else _records(watched),
        acknowledged=artefacts.acknowledged,
        acknowledged_ms=tuple(artefacts.acknowledged_ms.items()),
        head=dict(store.head),
        entities=dict(store.entities),
        outbox=store.outbox,
        deltas=store.deltas,
    )
    path = directory / f"{name}{SUFFIX}"
    path.write_bytes(msgspec.json.encode(document))
    return path


def read(path: Path, schemas: Schemas) -> tuple[Artefacts, tuple[Published, ...] | None]:
    """Return a shard's artefacts and what was watched. Raises msgspec.ValidationError for any other file."""
    found = msgspec.json.decode(path.read_bytes(), type=ShardFile)
    artefacts = Artefacts(
        inputs=found.inputs,
        commits=tuple(published(record, schemas) for record in found.commits),
        changes=tuple(published(record, schemas) for record in found.changes),
        dead_letters=tuple(dead_letter(record) for record in found.dead_letters),
        store=StoreDump(found.head, found.entities, found.outbox, found.deltas),
        acknowledged=found.acknowledged,
        acknowledged_ms=dict(found.acknowledged_ms),
        raw=found.raw,
    )
    if found.watched is None:
        return artefacts, None
    return artefacts, tuple(published(record, schemas) for record in found.watched)


def files(directory: Path) -> Iterator[Path]:
    """Yield the files of all shards, by name."""
    yield from sorted(directory.rglob(f"*{SUFFIX}"))


def _records(items: Iterable[Published]) -> tuple[Record, ...]:
    return tuple(item.record for item in items)
