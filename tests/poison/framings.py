"""Records whose schema cannot be told, or is none of an event; each framing cut off at every byte."""

from collections.abc import Iterator

from tests.checker.reference import cluster_reference
from tests.checker.single_object import MARKER, PREFIX_BYTES
from tests.poison.kinds import ACCEPTED, Poison, load, truncations
from tests.poison.registry import HONEST_GUID, HONEST_ID, STATE_ID, UNKNOWN_GUID, UNKNOWN_ID

SCHEMA_ID = "__value_schema_id"
GOOD = load("good")
BODY = GOOD[PREFIX_BYTES:]


def framings() -> Iterator[Poison]:
    """Yield them all."""
    yield from _unframed()
    yield from _unknown()
    yield from _no_events()
    for length, value in truncations(GOOD):
        yield Poison(f"single-object cut after {length} bytes", "undecodable", value)
    for length, value in truncations(confluent(HONEST_ID) + BODY):
        outcome = "undecodable" if length < len(confluent(HONEST_ID)) else "unknown_schema"
        yield Poison(f"Confluent prefix cut after {length} bytes", outcome, value, registered="undecodable")
    for length, value in truncations(BODY):
        headers = ((SCHEMA_ID, confluent(HONEST_ID)),)
        name = f"body under an id in a header cut after {length} bytes"
        yield Poison(name, "unknown_schema", value, headers, registered="undecodable")
    for header in (confluent(HONEST_ID), b"\1" + HONEST_GUID):
        for length, content in truncations(header):
            name = f"header of {len(header)} bytes cut after {length}"
            yield Poison(name, "undecodable", BODY, ((SCHEMA_ID, content),))


def confluent(schema_id: int) -> bytes:
    """Return Confluent's prefix: a zero byte and the id."""
    return b"\0" + schema_id.to_bytes(4, "big")


def _unframed() -> Iterator[Poison]:
    yield Poison("no value", "undecodable", None)
    yield Poison("no value, said to be JSON", "undecodable", None, (("content-type", b"application/json"),))
    yield Poison("no framing", "undecodable", b"hello")
    yield Poison("no framing, one zero byte", "undecodable", b"\0")
    yield Poison("JSON that no header announces", "undecodable", b'{"model": "x"}')
    yield Poison("another marker", "undecodable", b"\xc3\x02" + GOOD[2:])
    yield Poison("an Avro container file", "undecodable", b"Obj\x01" + bytes(64))
    yield Poison("the framing twice", "undecodable", GOOD[:PREFIX_BYTES] + GOOD)
    yield Poison("a schema id header with a byte too many", "undecodable", BODY, ((SCHEMA_ID, bytes(6)),))
    yield Poison("a schema id header of another kind", "undecodable", BODY, ((SCHEMA_ID, b"\2" + HONEST_GUID),))
    huge = ((SCHEMA_ID, b"\1" * 500_000),)
    yield Poison("a schema id header of half a megabyte", "undecodable", BODY, huge)


def _unknown() -> Iterator[Poison]:
    known, unknown = confluent(HONEST_ID), confluent(UNKNOWN_ID)
    yield Poison("another fingerprint", "unknown_schema", MARKER + b"\1\2\3\4\5\6\7\x08" + BODY)
    yield Poison("a fingerprint read from the wrong end", "unknown_schema", MARKER + GOOD[2:10][::-1] + BODY)
    yield Poison("an id that no registry has", "unknown_schema", unknown + BODY)
    yield Poison("the largest id", "unknown_schema", b"\0\xff\xff\xff\xff" + BODY)
    yield Poison("an unknown id in a header", "unknown_schema", BODY, ((SCHEMA_ID, unknown),))
    yield Poison("an unknown GUID in a header", "unknown_schema", BODY, ((SCHEMA_ID, b"\1" + UNKNOWN_GUID),))
    yield Poison("an unknown id in a header before a good framing", "unknown_schema", GOOD, ((SCHEMA_ID, unknown),))
    yield Poison("a known id", "unknown_schema", known + BODY, registered=ACCEPTED)
    yield Poison("a known id in a header", "unknown_schema", BODY, ((SCHEMA_ID, known),), registered=ACCEPTED)
    guid = ((SCHEMA_ID, b"\1" + HONEST_GUID),)
    yield Poison("a known GUID in a header", "unknown_schema", BODY, guid, registered=ACCEPTED)
    yield Poison("the framing twice, told by a header", "unknown_schema", GOOD, guid, registered="undecodable")
    cut = ((SCHEMA_ID, known), (SCHEMA_ID, b""))
    yield Poison("two schema id headers, the last one empty", "undecodable", BODY, cut)


def _no_events() -> Iterator[Poison]:
    encode = cluster_reference().schemas.encode
    state = encode("processor.state.Responder", {"role": "x", "responder": "y", "connected_ms": 1})
    yield Poison("a state record", "unknown_type", state)
    by_id = confluent(STATE_ID) + state[PREFIX_BYTES:]
    yield Poison("a state record by id", "unknown_schema", by_id, registered="unknown_type")
    yield Poison("a state record's schema with nothing behind it", "unknown_type", state[:PREFIX_BYTES])
