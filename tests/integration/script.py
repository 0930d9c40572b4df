"""From events to records: Avro or JSON, with CloudEvents ids, and now and then one that nobody can read."""

import json
from collections.abc import Iterator
from random import Random

from tests.checker.single_object import MARKER, Schemas
from tests.integration.author import Author, Told
from tests.integration.submitter import Line

JSON_SHARE = 0.05
POISON_SHARE = 0.008
OVERSIZED_BYTES = 800_000
JSON_CONTENT = ("content-type", b"application/json")


def script(seed: int, count: int, *, now_ms: int, schemas: Schemas) -> list[Line]:
    """Return a life of `count` events as records, with poison between them."""
    random = Random(seed)
    lines: list[Line] = []
    for number, told in enumerate(Author(seed, now_ms=now_ms).write(count)):
        if random.random() < POISON_SHARE and lines:
            lines.append(random.choice(tuple(poison(lines[-1]))))
        as_json = random.random() < JSON_SHARE
        lines.append((json_line if as_json else avro_line)(told, f"{seed}-{number}", schemas))
    return lines


def avro_line(told: Told, event_id: str, schemas: Schemas) -> Line:
    """Return one event as an Avro record."""
    lane, name, data, at_ms = told
    full_name = f"processor.events.{name}"
    headers = (("ce_id", event_id.encode()), ("ce_type", full_name.encode()))
    return Line(lane, schemas.encode(full_name, data), at_ms, headers)


def json_line(told: Told, event_id: str, schemas: Schemas) -> Line:
    """Return one event as a JSON record."""
    del schemas
    lane, name, data, at_ms = told
    headers = (JSON_CONTENT, ("ce_type", name.encode()), ("ce_id", event_id.encode()))
    return Line(lane, json.dumps(data).encode(), at_ms, headers)


def poison(like: Line) -> Iterator[Line]:
    """Yield records that become dead letters, each in its own way; some are made from one that is good."""
    value, at_ms = like.value or b"", like.timestamp_ms
    yield Line("normal", b"", at_ms)
    yield Line("normal", None, at_ms)
    yield Line("high", MARKER + b"no schema of ours", at_ms)
    yield Line("normal", b"\x00\x00\x00\x00\x2a" + value, at_ms, (("ce_id", b"confluent"),))
    yield Line("normal", b"{}", at_ms, (JSON_CONTENT,))
    yield Line("normal", b"{}", at_ms, (JSON_CONTENT, ("ce_type", b"NoSuchEvent")))
    yield Line("high", b"{", at_ms, (JSON_CONTENT, ("ce_type", b"ClockTicked")))
    yield Line("normal", bytes(OVERSIZED_BYTES), at_ms)
    if value.startswith(MARKER):
        yield Line("normal", value + b"trailing", at_ms)
        yield Line("high", value[:-1], at_ms)
