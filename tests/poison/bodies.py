"""Avro bodies that are no value of their schema, or are one that nobody should have to read."""

from collections.abc import Iterator

from processor.avro.wire import encode_bytes, encode_long, encode_text
from tests.checker.single_object import PREFIX_BYTES
from tests.poison.framings import confluent
from tests.poison.kinds import ACCEPTED, SPEC, Poison, body, encoded, load
from tests.poison.registry import EMPTY_RECORDS_ID, FIXED_ID, NULLS_ID, OTHER_TYPE_ID, RECURSIVE_ID

ROUTE = encoded("ModelRouteApplied", {"model": "m", "route_revision": 1})[:-1]
"""All but the last number."""
CONNECTED = encoded("ServerReplicaConnected", {"server": "a", "replica": 0, "capabilities": [], "memory": 8})
CAPABILITIES = PREFIX_BYTES + len(b"\x02a\x00")
"""Where the array begins."""
PREFIX = load("good")[:PREFIX_BYTES]
LARGE = 700_000
TOO_LARGE = "entity_too_large"


def bodies() -> Iterator[Poison]:
    """Yield them all."""
    yield from _numbers()
    yield from _texts()
    yield from _blocks()
    yield from _unions()
    yield from _by_hostile_schemas()
    yield from _refused_by_the_border()
    yield from _legal_and_large()


def _numbers() -> Iterator[Poison]:
    yield Poison("a varint of ten bytes beyond 64 bits", "undecodable", ROUTE + b"\xff" * 9 + b"\x02")
    yield Poison("a varint of eleven bytes", "undecodable", ROUTE + b"\x80" * 10 + b"\x01")
    yield Poison("a varint without end", "undecodable", ROUTE + b"\x80" * LARGE)
    yield Poison("a varint longer than it needs to be", "unknown_target", ROUTE + b"\x82\x80\x00")
    yield Poison("trailing bytes", "undecodable", load("good") + b"\0")
    yield Poison("half a megabyte of trailing bytes", "undecodable", load("good") + bytes(500_000))
    boolean = encoded("ServerDeclared", {"server": "a"})[:-1]
    yield Poison("a boolean that is neither", "undecodable", boolean + b"\x02")


def _texts() -> Iterator[Poison]:
    applied = encoded("ModelRouteApplied", {"model": "", "route_revision": 1})[:PREFIX_BYTES]
    yield Poison("a text that is no UTF-8", "undecodable", applied + encode_bytes(b"\xff\xfe") + b"\x02")
    yield Poison(
        "a lone surrogate in UTF-8's clothes", "undecodable", applied + encode_bytes(b"\xed\xa0\x80") + b"\x02"
    )
    yield Poison("an overlong zero", "undecodable", applied + encode_bytes(b"\xc0\x80") + b"\x02")
    yield Poison("a text cut within a character", "undecodable", applied + encode_bytes("é".encode()[:1]) + b"\x02")
    yield Poison("a negative length", "undecodable", applied + encode_long(-1) + b"a\x02")
    yield Poison("the most negative length", "undecodable", applied + encode_long(-(1 << 63)) + b"a\x02")
    yield Poison("a length beyond the end", "undecodable", applied + encode_long(1 << 30) + b"a\x02")
    yield Poison("the largest length", "undecodable", applied + encode_long((1 << 63) - 1) + b"a\x02")
    for length in (254, LARGE):
        value = applied + encode_text("a" * length) + b"\x02"
        yield Poison(f"a name of {length} characters", "invalid_event", value)
    for odd in ("", " ", "A", "é", "a/b", "..", "a\0b", "a\n", "-a", "a.b", "\u202e", "models/iris"):
        yield Poison(f"the name {odd!r}", "invalid_event", applied + encode_text(odd) + b"\x02")


def _blocks() -> Iterator[Poison]:
    def capabilities(block: bytes) -> bytes:
        return CONNECTED[:CAPABILITIES] + block + CONNECTED[CAPABILITIES:]

    yield Poison("2^40 items", "undecodable", capabilities(encode_long(1 << 40)))
    yield Poison("the largest count", "undecodable", capabilities(encode_long((1 << 63) - 1)))
    yield Poison("the most negative count", "undecodable", capabilities(encode_long(-(1 << 63)) + b"\x02"))
    yield Poison("a count of −2^40", "undecodable", capabilities(encode_long(-(1 << 40)) + b"\x02"))
    yield Poison("one item more than bytes", "undecodable", capabilities(encode_long(len(CONNECTED))))
    yield Poison("a block that is shorter than it says", "undecodable", capabilities(b"\x01\x04\x00"))
    yield Poison("a block of negative size", "undecodable", capabilities(b"\x01\x01\x00"))
    yield Poison("a block larger than the value", "undecodable", capabilities(b"\x01" + encode_long(1 << 40) + b"\x00"))
    yield Poison("a damaged item behind many", "undecodable", capabilities(_empty_texts()) + b"\x80")
    parameters = body("ModelLoadRequested", {"model": "m", "spec": SPEC}).rindex(b"\0\x02\0\0")
    spec = body("ModelLoadRequested", {"model": "m", "spec": SPEC})
    bomb = PREFIX + spec[:parameters] + encode_long(1 << 40) + spec[parameters:]
    yield Poison("a map of 2^40 entries", "undecodable", bomb)
    yield Poison("many blocks of one", ACCEPTED, capabilities(b"\x02\x00" * (LARGE // 2)))
    yield Poison("many blocks that say their size", ACCEPTED, capabilities(b"\x01\x02\x00" * (LARGE // 3)))
    yield Poison("as many empty texts as fit", ACCEPTED, capabilities(_empty_texts()))


def _empty_texts() -> bytes:
    return encode_long(LARGE) + bytes(LARGE)


def _unions() -> Iterator[Poison]:
    started = {"experiment": "e", "candidates": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]}
    value = encoded("ExperimentStartRequested", started)[:-1]
    yield Poison("a union branch that does not exist", "undecodable", value + encode_long(2))
    yield Poison("a negative union branch", "undecodable", value + encode_long(-1))
    yield Poison("the most negative union branch", "undecodable", value + encode_long(-(1 << 63)))
    yield Poison("a union branch of eleven bytes", "undecodable", value + b"\x80" * 10 + b"\x01")
    yield Poison("a union branch without its value", "undecodable", value + encode_long(1))


def _by_hostile_schemas() -> Iterator[Poison]:
    def by(schema_id: int, name: str, value: bytes, registered: str = "undecodable") -> Poison:
        return Poison(name, "unknown_schema", confluent(schema_id) + value, registered=registered)

    yield by(RECURSIVE_ID, "5 KB that contain themselves", b"\x02" * 5_000 + b"\0")
    yield by(RECURSIVE_ID, "700 KB that contain themselves", b"\x02" * LARGE + b"\0")
    yield by(RECURSIVE_ID, "what contains itself and never ends", b"\x02" * 5_000)
    yield by(RECURSIVE_ID, "what contains itself a little", b"\x02" * 9 + b"\0", ACCEPTED)
    # 2^40 nulls, in a body of seven bytes: items that cost the sender nothing
    yield by(NULLS_ID, "a count of nulls that fill the memory", encode_long(1 << 40) + b"\0")
    yield by(NULLS_ID, "a count of nulls that says its size", encode_long(-(1 << 40)) + b"\0\0")
    yield by(EMPTY_RECORDS_ID, "a count of empty records", encode_long(1 << 40) + b"\0")
    yield by(FIXED_ID, "a terabyte of fixed size", b"\0" * 100)
    yield by(OTHER_TYPE_ID, "a number where a text is due", encode_long(5) + encode_long(1))


def _refused_by_the_border() -> Iterator[Poison]:
    yield Poison("a number below its least", "invalid_event", load("good", generation=-1))
    yield Poison("the least number", "invalid_event", load("good", generation=-(1 << 63)))
    deployment = {"replicas": 3, "min_replicas": 0, "max_replicas": 1}
    yield Poison("more replicas than allowed", "invalid_event", load("good", deployment=deployment))
    nameless = {"server": "a", "replica": 0, "loaded_models": [{"model": "", "version": 0}] * (LARGE // 2)}
    yield Poison("300,000 mistakes", "invalid_event", encoded("ServerReplicaConnected", nameless))
    words = {"pipeline": "a", "steps": [{"name": "a", "inputs_join": "", "triggers_join": ""}] * 60_000}
    yield Poison("60,000 steps with wrong words", "invalid_event", encoded("PipelineLoadRequested", words))


def _legal_and_large() -> Iterator[Poison]:
    def pipeline(name: str, steps: list[dict[str, object]]) -> bytes:
        return encoded("PipelineLoadRequested", {"pipeline": name, "steps": steps})

    apart: list[dict[str, object]] = [{"name": f"s{number}"} for number in range(30_000)]
    yield Poison("30,000 steps", ACCEPTED, pipeline("wide", apart), stored=TOO_LARGE)
    chain: list[dict[str, object]] = [{"name": f"s{number}", "inputs": [f"s{number + 1}"]} for number in range(20_000)]
    long = pipeline("long", [*chain, {"name": "s20000"}])
    yield Poison("20,000 steps, each before the one it needs", ACCEPTED, long, stored=TOO_LARGE)
    circle: list[dict[str, object]] = [*chain, {"name": "s20000", "inputs": ["s0"]}]
    yield Poison("a circle of 20,000 steps", "cycle", pipeline("round", circle))
    twice: list[dict[str, object]] = [*apart, {"name": "s29999"}]
    yield Poison("30,000 steps of which the last two are one", "duplicate_step", pipeline("twice", twice))
    parameters = {str(number): "" for number in range(80_000)}
    many = load("parameters", spec={**SPEC, "parameters": parameters})
    yield Poison("80,000 parameters", ACCEPTED, many, stored=TOO_LARGE)
    largest = {"server": "largest", "replica": 0, "memory": (1 << 63) - 1, "available_memory": (1 << 63) - 1}
    yield Poison("the largest memory", ACCEPTED, encoded("ServerReplicaConnected", largest))
    replicas = {"replicas": (1 << 63) - 1, "min_replicas": 0, "max_replicas": 0}
    yield Poison("2^63 − 1 replicas", ACCEPTED, load("most", deployment=replicas))
