"""Every way in which a record can be wrong, and what becomes of it; the good ones around it are applied."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from processor.engine.values import Headers
from tests.checker.single_object import MARKER, PREFIX_BYTES
from tests.integration.play import Play, now_ms
from tests.integration.script import JSON_CONTENT, OVERSIZED_BYTES
from tests.integration.submitter import Line

SPEC = {"uri": "s3://models/x", "requirements": [], "memory": 1, "instances": 1, "server": "", "parameters": {}}
TICK = ("ce_type", b"ClockTicked")
REPORT = ("ce_type", b"processor.events.ModelRouteApplied")
CONNECTED = ("ce_type", b"ServerReplicaConnected")
REJECTED = "EventRejected"
NO_TIMESTAMP = "no timestamp"
Case = tuple[str, bytes | None, Headers]


def wrong_records(play: Play) -> Iterator[tuple[str, Case]]:
    """Yield what should become of a record (dead letter code, or a rejection's code) and the record."""
    good = _load(play, "good")
    state = play.reference.schemas.encode(
        "processor.state.Responder", {"role": "x", "responder": "y", "connected_ms": 1}
    )
    yield "undecodable", ("no value", None, ())
    yield "undecodable", ("empty", b"", ())
    yield "undecodable", ("no framing", b"hello", ())
    yield "undecodable", ("truncated", good[:-3], ())
    yield "undecodable", ("trailing bytes", good + b"\0", ())
    yield "undecodable", ("a length beyond the end", good[:10] + b"\xfe\xff\xff\xff\x0f" + good[11:], ())
    yield "undecodable", ("no JSON", b"{", (JSON_CONTENT, TICK))
    yield "undecodable", ("JSON nested too deep", b"[" * 100_000 + b"]" * 100_000, (JSON_CONTENT, TICK))
    yield "undecodable", ("more items than bytes", _endless(play), ())
    yield "undecodable", (NO_TIMESTAMP, good, ())
    yield "unknown_schema", ("another fingerprint", MARKER + b"\1\2\3\4\5\6\7\x08" + good[10:], ())
    yield "unknown_schema", ("an id of a registry", b"\0\0\0\0\x2a" + good[10:], ())
    yield "unknown_schema", ("a schema id in a header", good[10:], (("__value_schema_id", b"\0\0\0\0\x2a"),))
    yield "unknown_type", ("a record that is no event", state, ())
    yield "unknown_type", ("JSON without a type", b"{}", (JSON_CONTENT,))
    yield "unknown_type", ("JSON of an unknown type", b"{}", (JSON_CONTENT, ("ce_type", b"Nothing")))
    yield "too_large", ("too large", bytes(OVERSIZED_BYTES), (("a", b"b"),))
    yield "invalid_event", ("a name against the rules", _load(play, "No Name!"), ())
    yield "invalid_event", ("a number below its least", _load(play, "good", generation=-1), ())
    yield "invalid_event", ("more replicas than allowed", _load(play, "good", deployment=_deployment(3, 1)), ())
    yield "invalid_event", ("an unknown field in JSON", b'{"unknown": 1}', (JSON_CONTENT, TICK))
    yield "invalid_event", ("a text for a number", _route("1"), (JSON_CONTENT, REPORT))
    yield "invalid_event", ("a float for a number", _route(1.0), (JSON_CONTENT, REPORT))
    yield "invalid_event", ("a number above 64 bits", _route(1 << 63), (JSON_CONTENT, REPORT))
    yield "invalid_event", ("JSON that is no object", b"[]", (JSON_CONTENT, TICK))
    yield "invalid_event", ("a null that is not allowed", _connected(available_memory=None), (JSON_CONTENT, CONNECTED))
    yield "unknown_target", ("a report on nothing", _route(1), (JSON_CONTENT, REPORT))


def test_each_wrong_record_has_its_outcome_and_the_good_ones_are_applied(play: Play) -> None:
    processor = play.stage.start()
    cases = list(wrong_records(play))
    lines: list[Line] = []
    for number, (_, (name, value, headers)) in enumerate(cases):
        lane = "high" if number % 2 else "normal"
        at_ms = -1 if name == NO_TIMESTAMP else now_ms()
        lines.append(Line(lane, value, at_ms, (("ce_id", b"%d" % number), *headers)))
        lines.append(Line(lane, _load(play, f"after-{number}"), now_ms()))
    play.send(lines)
    artefacts = play.assert_whole()
    assert len(processor.logged("shard_taken_over")) == 1
    codes = {letter.headers["ce_id"]: letter.headers["dead-letter-code"] for letter in artefacts.dead_letters}
    codes |= {one.value["event_id"]: one.value["code"] for one in artefacts.changes if one.type.endswith(REJECTED)}
    found = {name: codes.get(str(number)) for number, (_, (name, _, _)) in enumerate(cases)}
    assert found == {name: code for code, (name, _, _) in cases}
    assert {f"model/after-{number}" for number in range(len(cases))} <= artefacts.store.entities.keys()


def test_an_event_in_the_other_lane_and_one_with_a_short_type_are_taken_as_they_are(play: Play) -> None:
    play.stage.start()
    connected = play.reference.schemas.encode("processor.events.ServerReplicaConnected", json.loads(_connected()))
    tick = Line("high", b"{}", now_ms(), (JSON_CONTENT, TICK))
    play.send([Line("normal", connected, now_ms()), tick, Line("high", _load(play, "early"), now_ms(), key=None)])
    artefacts = play.assert_whole()
    assert {"server/pool", "model/early"} <= artefacts.store.entities.keys()
    assert artefacts.dead_letters == ()


def _load(play: Play, model: str, **fields: Any) -> bytes:
    return play.reference.schemas.encode(
        "processor.events.ModelLoadRequested", {"model": model, "generation": 0, "spec": SPEC, **fields}
    )


def _endless(play: Play) -> bytes:
    """Return a server replica whose list of capabilities says that it has 2^40 items."""
    connected = {"server": "a", "replica": 0, "capabilities": [], "memory": 8}
    value = play.reference.schemas.encode("processor.events.ServerReplicaConnected", connected)
    start = PREFIX_BYTES + len(b"\x02a\x00")
    return value[:start] + b"\x80\x80\x80\x80\x80\x40" + value[start:]


def _deployment(replicas: int, most: int) -> Mapping[str, int]:
    return {"replicas": replicas, "min_replicas": 0, "max_replicas": most}


def _route(revision: Any) -> bytes:
    return json.dumps({"model": "nothing", "route_revision": revision}).encode()


def _connected(**fields: Any) -> bytes:
    return json.dumps({"server": "pool", "replica": 0, "memory": 8, **fields}).encode()
