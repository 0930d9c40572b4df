"""Entities, changes, rejections and commits as canonical bytes, and entities back.

An entity is encoded once; its announcement splices the stored bytes in. That is right only because the entity's
schema inside `<Kind>Changed` equals its own, which is asserted when the encoder is made.
"""

from collections.abc import Mapping
from typing import Any, Final

from processor.avro.announcements import ChangeWriter, RejectionWriter
from processor.avro.binding import Attributes, bound_structs
from processor.avro.bounds import growth_bound, is_bounded, size_bound
from processor.avro.catalogue import Catalogue
from processor.avro.entities import EntityCodec
from processor.avro.framing import SINGLE_OBJECT_BYTES, Unframed, single_object_prefix
from processor.avro.schema import SchemaInvalid
from processor.avro.wire import Malformed
from processor.avro.writing import Writer, compile_writer
from processor.engine.announcements import Announcement, ChangeSource, CommitRecord, EventRejection
from processor.engine.errors import ShardRefused
from processor.engine.machine import Change

COMMIT_ATTRIBUTES: Final[Attributes] = {"from": "start", "to": "end"}


class AvroEncoder:
    """Implements Encoder for the entities of one state machine.

    `entity_types` is kind → struct; their schemas are `<namespace>.state.<Kind>` and
    `<namespace>.changes.<Kind>Changed`. `rejected` and `committed` name the engine's own records.
    Raises SchemaInvalid when schemas and structs disagree.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        entity_types: Mapping[str, type],
        *,
        namespace: str = "processor",
        rejected: str = "processor.changes.EventRejected",
        committed: str = "processor.commits.Commit",
    ) -> None:
        self._entities: dict[str, EntityCodec] = {}
        self._changes: dict[str, ChangeWriter] = {}
        for kind, struct in entity_types.items():
            schema = catalogue.require(f"{namespace}.state.{record_name(kind)}")
            self._entities[kind] = EntityCodec(catalogue, schema, struct)
            self._changes[kind] = ChangeWriter(
                catalogue.require(f"{namespace}.changes.{record_name(kind)}Changed"), schema
            )
        self._writers: dict[type, Writer] = {entity.struct: entity.write for entity in self._entities.values()}
        if len(self._writers) < len(self._entities):
            raise SchemaInvalid("two kinds share one struct")
        self._rejections = RejectionWriter(catalogue.require(rejected))
        self._bounded = frozenset(
            entity.struct
            for entity in self._entities.values()
            if is_bounded(entity.schema, bound_structs(entity.schema, entity.struct).values())
        )
        self._write_commit = _commit_writer(catalogue, committed)

    def encode(self, key: str, entity: Any) -> bytes:
        """Return the stored value of the entity `<kind>/<name>`: framing prefix and canonical body."""
        del key  # the struct tells the kind
        return self._writers[type(entity)](entity)

    def size_bound(self, key: str, entity: Any) -> int:
        """Return what the stored value of an entity has at most, in bytes."""
        return size_bound(entity) if type(entity) in self._bounded else len(self.encode(key, entity))

    def growth_bound(self, key: str, old: Any, new: Any) -> int:
        """Return how many bytes more than that of `old` the stored value of `new` has at most."""
        return growth_bound(old, new) if type(new) in self._bounded else self.size_bound(key, new)

    def decode(self, key: str, value: bytes) -> Any:
        """Return the entity; a value of an older schema is resolved. Raises ShardRefused when it cannot be read."""
        codec = self._entities.get(key.partition("/")[0])
        if codec is None:
            raise ShardRefused(f"{key}: this build knows no such kind of entity")
        try:
            return codec.read(value)
        except (Malformed, Unframed) as error:
            raise ShardRefused(f"{key}: the stored value cannot be read: {error}") from error

    def is_current(self, key: str, value: bytes) -> bool:
        """Tell whether a stored value stands in this release's schema, as `encode` would write the entity again."""
        return value.startswith(self._entities[key.partition("/")[0]].prefix)

    def body(self, value: bytes) -> bytes:
        """Return the canonical body (no prefix) of a stored value that `encode` of this release made."""
        return value[SINGLE_OBJECT_BYTES:]

    def change(
        self, change: Change, *, before: bytes | None, after: bytes | None, source: ChangeSource, ts_ms: int
    ) -> Announcement:
        """Return the announcement of a change; `before` and `after` are stored values, spliced in as they are."""
        return self._changes[change.kind].write(change, before, after, source, ts_ms)

    def rejection(self, rejection: EventRejection, *, source: ChangeSource, ts_ms: int) -> Announcement:
        """Return the announcement of a rejection (`EventRejected`, key `rejected/<event_id>`)."""
        return self._rejections.write(rejection, source, ts_ms)

    def commit(self, record: CommitRecord) -> bytes:
        """Return the value of a commit-log record."""
        return self._write_commit(record)


def record_name(kind: str) -> str:
    """Return the record name of a kind: `price_list` is `PriceList`."""
    return "".join(word.capitalize() for word in kind.split("_"))


def _commit_writer(catalogue: Catalogue, name: str) -> Writer:
    schema = catalogue.require(name)
    prefix = single_object_prefix(schema)
    return compile_writer(schema, schema.parsed, CommitRecord, prefix=prefix, attributes=COMMIT_ATTRIBUTES)
