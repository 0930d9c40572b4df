"""JSON that is none, that is a bomb, or that says what no event says."""

import json
from collections.abc import Iterator
from typing import Any, Final

from processor.engine.inputs import Headers
from tests.poison.kinds import ACCEPTED, Poison

JSON: Final = ("content-type", b"application/json")
LARGE: Final = 700_000


def documents() -> Iterator[Poison]:
    """Yield them all."""
    yield from _no_json()
    yield from _bombs()
    yield from _numbers()
    yield from _types()
    yield from _contents()


def _tick(name: str, outcome: str, value: bytes) -> Poison:
    return Poison(name, outcome, value, (JSON, ("ce_type", b"ClockTicked")))


def _route(name: str, outcome: str, value: bytes) -> Poison:
    return Poison(name, outcome, value, (JSON, ("ce_type", b"processor.events.ModelRouteApplied")))


def _no_json() -> Iterator[Poison]:
    yield _tick("an empty document", "undecodable", b"")
    yield _tick("a brace", "undecodable", b"{")
    yield _tick("two documents", "undecodable", b"{}{}")
    yield _tick("Avro that is said to be JSON", "undecodable", b"\xc3\x01" + bytes(8))
    yield _tick("a byte order mark", "undecodable", b"\xef\xbb\xbf{}")
    yield _tick("UTF-16", "undecodable", "{}".encode("utf-16"))
    yield _tick("a comment", "undecodable", b"{} // nothing")
    yield _tick("a comma too many", "undecodable", b'{"a": 1,}')
    yield _tick("a text without end", "undecodable", b'{"a": "' + b"a" * LARGE)
    yield _tick("an escape without end", "undecodable", b'{"a": "\\u00')
    for word in ("NaN", "Infinity", "-Infinity", "nul", "True"):
        yield _tick(f"the word {word}", "undecodable", b'{"a": %s}' % word.encode())
    yield _route("a lone surrogate, escaped", "undecodable", b'{"model": "\\ud800", "route_revision": 1}')
    yield _route("a lone surrogate, raw", "undecodable", b'{"model": "\xed\xa0\x80", "route_revision": 1}')
    yield _route("bytes that are no UTF-8", "undecodable", b'{"model": "\xff", "route_revision": 1}')


def _bombs() -> Iterator[Poison]:
    yield _tick("arrays without end", "undecodable", b"[" * LARGE)
    yield _tick("objects without end", "undecodable", b'{"a":' * (LARGE // 5))
    yield _tick("arrays within arrays", "undecodable", b"[" * (LARGE // 2) + b"]" * (LARGE // 2))
    yield _tick("one level more than allowed", "undecodable", b"[" * 34 + b"]" * 34)
    yield _tick("the deepest allowed", "invalid_event", b"[" * 33 + b"]" * 33)
    yield _tick("many empty arrays, deep down", "invalid_event", b"[" * 30 + b"[]," * (LARGE // 3) + b"[]" + b"]" * 30)
    members = b",".join(b'"%d":0' % number for number in range(70_000))
    yield _tick("70,000 unknown fields", "invalid_event", b"{" + members + b"}")
    yield _tick("a field with a name of 700 KB", "invalid_event", b'{"' + b"a" * LARGE + b'": 1}')
    yield _tick("700 KB of spaces", ACCEPTED, b" " * LARGE + b"{}")
    yield _route("a name of 700 KB", "invalid_event", b'{"model": "' + b"a" * LARGE + b'", "route_revision": 1}')
    steps = b'{"pipeline": "p", "steps": [' + b"{}," * (LARGE // 3) + b"{}]}"
    yield Poison("200,000 empty steps", "invalid_event", steps, (JSON, ("ce_type", b"PipelineLoadRequested")))


def _numbers() -> Iterator[Poison]:
    def number(text: str, outcome: str, name: str = "") -> Poison:
        value = b'{"model": "nothing", "route_revision": %s}' % text.encode()
        return _route(f"the number {name or text}", outcome, value)

    yield number(str((1 << 63) - 1), "unknown_target")
    yield number(str(1 << 63), "invalid_event")
    yield number(str(1 << 64), "invalid_event")
    yield number(str(-(1 << 63) - 1), "invalid_event")
    yield number("9" * 400, "invalid_event", "of 400 digits")
    yield number("9" * 5_000, "undecodable", "of 5,000 digits")
    yield number("9" * LARGE, "undecodable", "of 700,000 digits")
    yield number("1." + "9" * LARGE, "invalid_event", "with 700,000 decimals")
    yield number("1e999", "undecodable")
    yield number("1e-999", "invalid_event")
    yield number("1.0", "invalid_event")
    yield number("1e0", "invalid_event")
    yield number("-0", "unknown_target")
    yield number("01", "undecodable")
    yield number('"1"', "invalid_event")
    yield number("true", "invalid_event")
    yield number("null", "invalid_event")


def _types() -> Iterator[Poison]:
    def typed(name: str, *headers: tuple[str, bytes | None]) -> Poison:
        return Poison(name, "unknown_type", b"{}", (JSON, *headers))

    yield typed("JSON without a type")
    yield typed("JSON with a type that is null", ("ce_type", None))
    yield typed("JSON of an unknown type", ("ce_type", b"Nothing"))
    yield typed("JSON of a type in other letters", ("ce_type", b"clockticked"))
    yield typed("JSON of a state record", ("ce_type", b"processor.state.Model"))
    yield typed("JSON of the namespace alone", ("ce_type", b"processor.events."))
    yield typed("JSON of a type that is no UTF-8", ("ce_type", b"\xff\xfe"))
    yield typed("JSON of a type of half a megabyte", ("ce_type", b"x" * 500_000))
    yield typed("JSON of a type with spaces", ("ce_type", b" ClockTicked"))
    yield typed("JSON of a type that is hidden by another", ("ce_type", b"ClockTicked"), ("ce_type", b"Nothing"))


def _contents() -> Iterator[Poison]:
    for value in (b"[]", b"null", b'"x"', b"5", b"[{}]"):
        yield _tick(f"{value.decode()} for an object", "invalid_event", value)
    yield _tick("an unknown field", "invalid_event", b'{"unknown": 1}')
    yield _tick("a time among the data", "invalid_event", b'{"at_ms": 1}')
    # of several fields with one name the last counts, as with Python's own json
    yield _route("a field twice", "unknown_target", b'{"model": "A!", "model": "nothing", "route_revision": 1}')
    yield _json("a null that is not allowed", "ServerReplicaConnected", server="s", replica=0, available_memory=None)
    for odd in ("", "A", "a/b", "a\0", "é", "a" * 254, "../a", "$", "__proto__", "\U0001f4a5"):
        yield _json(f"the JSON name {odd[:8]!r} of {len(odd)}", "ModelRouteApplied", model=odd, route_revision=1)


def _json(name: str, event: str, **data: Any) -> Poison:
    headers: Headers = (JSON, ("ce_type", event.encode()))
    return Poison(name, "invalid_event", json.dumps(data).encode(), headers)
