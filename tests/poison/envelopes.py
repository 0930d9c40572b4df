"""Records that are hostile by what stands beside the value: headers, key, time, size."""

from collections.abc import Iterator

from processor.avro.guard import VALUE_BYTES_MAX
from tests.poison.documents import JSON
from tests.poison.kinds import ACCEPTED, NO_TIMESTAMP_MS, Poison, load

TICK = (JSON, ("ce_type", b"ClockTicked"))
BEYOND = VALUE_BYTES_MAX + 1
LARGE = 700_000


def envelopes() -> Iterator[Poison]:
    """Yield them all."""
    yield from _sizes()
    yield from _headers()
    yield from _dead_and_large()
    yield Poison("no timestamp", "undecodable", load("good"), timestamp_ms=NO_TIMESTAMP_MS)
    yield Poison("no key", ACCEPTED, load("keyless"), key=None)
    yield Poison("an empty key", ACCEPTED, load("empty-key"), key=b"")
    yield Poison("a key that is no UTF-8", ACCEPTED, load("odd-key"), key=b"\xff\0")


def _sizes() -> Iterator[Poison]:
    yield Poison("a value too large", "too_large", bytes(BEYOND), (("a", b"b"),))
    yield Poison("a good event too large", "too_large", load("large", spec={"uri": "x" * BEYOND}))
    yield Poison("JSON too large", "too_large", b'{"a": "' + b"a" * BEYOND + b'"}', TICK)
    yield Poison("a key too large", "too_large", b"{}", TICK, key=bytes(BEYOND))
    yield Poison("a header too large", "too_large", b"{}", (*TICK, ("a", bytes(BEYOND))))
    yield Poison("a header with a name too large", "too_large", b"{}", (*TICK, ("a" * BEYOND, None)))
    yield Poison("headers too large together", "too_large", b"{}", (*TICK, *[("a", bytes(1000))] * 900))
    yield Poison("no value and a header too large", "too_large", None, (("a", bytes(BEYOND)),))


def _headers() -> Iterator[Poison]:
    yield Poison("9,000 headers", ACCEPTED, b"{}", (*TICK, *[("h", None)] * 9_000))
    yield Poison("more headers than allowed", "too_large", b"{}", (*TICK, *[("h", None)] * 10_000))
    # a dead letter of these and of ours could not be read by who takes the shard over
    yield Poison("as many headers as clients read", "too_large", b"{}", (*TICK, *[("", None)] * 99_998))
    # the client leaves them out altogether
    unread = (*TICK, *[("h", None)] * 120_000)
    yield Poison("more headers than clients read", "too_large", b"{}", unread, stored="undecodable")
    yield Poison("headers without names", ACCEPTED, b"{}", (*TICK, ("", b"x"), ("", None)))
    yield Poison("a header with a value of 700 KB", ACCEPTED, b"{}", (*TICK, ("a", bytes(LARGE))))
    yield Poison("an id of 700 KB", ACCEPTED, b"{}", (*TICK, ("ce_id", b"x" * LARGE)))
    yield Poison("an id that is no UTF-8", ACCEPTED, b"{}", (*TICK, ("ce_id", b"\xff" * 300)))
    yield Poison("a trace that is none", ACCEPTED, b"{}", (*TICK, ("traceparent", b"00-\xff")))
    yield Poison("a refused event with odd id and trace", "invalid_event", b"[]", (*TICK, ("ce_id", b"\0\xff/\n")))
    yield Poison("a content type of 700 KB", "undecodable", b"{}", (("content-type", b"/" * LARGE),))
    yield Poison("a content type that is no text", "undecodable", b"{}", (("content-type", b"\xff;\0"),))


def _dead_and_large() -> Iterator[Poison]:
    yield Poison("nonsense with a key of 700 KB", "undecodable", b"nonsense", key=bytes(LARGE))
    yield Poison("nonsense with a header's name of 700 KB", "undecodable", b"nonsense", (("n" * LARGE, None),))
    yield Poison("nonsense with 10,000 headers", "undecodable", b"nonsense", (("h", b"v"),) * 10_000)
    yield Poison("nonsense with headers like ours", "undecodable", b"nonsense", tuple(_like_ours()))


def _like_ours() -> Iterator[tuple[str, bytes | None]]:
    yield "dead-letter-code", b"fine"
    yield "dead-letter-offset", b"-1"
    yield "processor-seq", b"-5"
    yield "processor-index", None
