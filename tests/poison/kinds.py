"""What a hostile record is, and what good ones look like that the hostile ones are made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from processor.engine.inputs import Headers
from tests.checker.reference import cluster_reference
from tests.checker.single_object import PREFIX_BYTES

TIMESTAMP_MS = 1_700_000_000_000
NO_TIMESTAMP_MS = -1
ACCEPTED = "accepted"
EVENTS = "processor.events."
SPEC = {"uri": "s3://models/x", "requirements": [], "memory": 1, "instances": 1, "server": "", "parameters": {}}


@dataclass(frozen=True)
class Poison:
    """A record that no honest producer sends.

    `outcome` is the dead letter's code, the rejection's, or `accepted`. `registered` is another one where a schema
    registry knows the schemas of `tests.poison.registry`, `stored` where what it causes has to be published.
    """

    name: str
    outcome: str
    value: bytes | None
    headers: Headers = ()
    registered: str = ""
    stored: str = ""
    key: bytes | None = b"cluster"
    timestamp_ms: int = TIMESTAMP_MS


def encoded(event: str, data: Mapping[str, Any]) -> bytes:
    """Return an event in single-object encoding, as the reference implementation writes it."""
    return cluster_reference().schemas.encode(EVENTS + event, data)


def body(event: str, data: Mapping[str, Any]) -> bytes:
    """Return an event's Avro body alone."""
    return encoded(event, data)[PREFIX_BYTES:]


def load(model: str, **fields: Any) -> bytes:
    """Return an event that loads a model; its body has numbers, texts, an array, a map and nested records."""
    return encoded("ModelLoadRequested", {"model": model, "generation": 0, "spec": SPEC, **fields})


def truncations(value: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield every true beginning of the value and its length."""
    return ((length, value[:length]) for length in range(len(value)))
