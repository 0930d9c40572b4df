"""A job: events in an order, and what they must lead to."""

from collections.abc import Sequence
from typing import Any

import msgspec

from processor.assembly.engine import Domain
from processor.avro.catalogue import Catalogue
from processor.avro.records import RecordCodec
from processor.engine.digest import MODULUS, digest_hex, entity_digest
from processor.engine.inputs import Accepted, Record

START_MS = 1_700_000_000_000
"""Time of the first event; each next one is a millisecond later."""

Event = tuple[str, dict[str, Any]]
"""Record name and data."""


class Job(msgspec.Struct, frozen=True):
    """Events of one domain; `name` says which."""

    name: str
    events: tuple[Event, ...]


class Expected(msgspec.Struct, frozen=True):
    """What a reference fold, one event after another, says: the digest at the end and every entity as plain data."""

    digest: str
    entities: dict[str, dict[str, Any]]
    applied: int


def encoded(job: Job, catalogue: Catalogue, namespace: str) -> list[bytes]:
    """Return the value of each event's record."""
    codec = RecordCodec(catalogue)
    schemas = catalogue.namespace(namespace)
    return [codec.encode_record(schemas[name], data) for name, data in job.events]


def expected(values: Sequence[bytes], domain: Domain, catalogue: Catalogue) -> Expected:
    """Fold the records without any engine around the state machine."""
    machine, decode = domain.machine, domain.decoder.decode
    state, applied = machine.empty(), 0
    for offset, value in enumerate(values):
        decoded = decode(Record("reference", 0, offset, START_MS + offset, None, value))
        if not isinstance(decoded, Accepted):
            raise TypeError(f"event {offset} of the job is none: {decoded}")
        result = machine.apply(state, decoded.event)
        if result is not state and not isinstance(result, machine.rejection):
            state, applied = machine.begin(result), applied + 1
    codec = RecordCodec(catalogue)
    stored = {key: domain.encoder.encode(key, entity) for key, entity in machine.entities(state)}
    digest = sum(entity_digest(key, domain.encoder.body(value)) for key, value in stored.items()) % MODULUS
    entities = {key: codec.decode_record(value)[1] for key, value in stored.items()}
    return Expected(digest_hex(digest), entities, applied)
