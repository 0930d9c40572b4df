"""The state generator alone: events as JSON lines in, one JSON document out."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

from processor.cluster.changes import diff
from processor.cluster.document import change_to_json, to_document
from processor.cluster.event_parsing import InvalidEvent, encodable, parse_json_event
from processor.cluster.events import Event
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.state import State

DIGITS_MAX = 25
"""More digits than a 64-bit number has; Python refuses to parse thousands."""


class Simulation(TypedDict):
    """The state at the end, the changes of each batch, and the rejections by the index of their event."""

    state: dict[str, Any]
    changes: list[dict[str, Any]]
    rejected: list[dict[str, Any]]


class Line(TypedDict):
    """One line: its event, or why it is rejected."""

    type: str
    event: Event | Rejected


def simulate(lines: Iterable[str | bytes], *, state: State | None = None, batch_events: int = 1) -> Simulation:
    """Reduce one event a line, in batches of `batch_events`; blank lines do not count, invalid lines are rejected."""
    machine = ClusterMachine()
    after = state if state is not None else machine.empty()
    changes: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    parsed = [parse_line(line) for line in lines if line.strip()]
    for number, start in enumerate(range(0, len(parsed), batch_events)):
        before = machine.begin(after)
        after, rejections = _reduced(machine, before, parsed[start : start + batch_events])
        rejected.extend({"index": start + position, **refusal} for position, refusal in rejections)
        changes.extend({"batch": number, **change_to_json(change)} for change in diff(before, after))
    return {"state": to_document(after), "changes": changes, "rejected": rejected}


def parse_line(line: str | bytes) -> Line:
    """Read one line. An invalid event becomes a rejection with code `invalid_event`; its type is "" if it has none."""
    try:
        text = line.decode() if isinstance(line, bytes) else line
        envelope = json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        return {"type": "", "event": Rejected("invalid_event", f"no JSON: {error}")}
    name = envelope.get("type") if isinstance(envelope, dict) else None
    if not isinstance(name, str):
        return {"type": "", "event": Rejected("invalid_event", "no object with a type")}
    try:
        return {"type": name, "event": _event(envelope)}
    except InvalidEvent as error:
        return {"type": encodable(name), "event": Rejected("invalid_event", str(error))}


def _event(envelope: dict[str, Any]) -> Event:
    unknown = envelope.keys() - {"id", "type", "at_ms", "data"}
    missing = {"at_ms", "data"} - envelope.keys()
    if unknown or missing:
        raise InvalidEvent(encodable(f"fields that are unknown: {sorted(unknown)}, missing: {sorted(missing)}"))
    return parse_json_event(envelope["type"], envelope["at_ms"], envelope["data"])


def _reduced(
    machine: ClusterMachine, before: State, batch: list[Line]
) -> tuple[State, list[tuple[int, dict[str, str]]]]:
    state, rejections = before, []
    for position, line in enumerate(batch):
        event = line["event"]
        outcome = event if isinstance(event, Rejected) else machine.apply(state, event)
        if isinstance(outcome, Rejected):
            rejections.append((position, {"type": line["type"], "code": outcome.code, "message": outcome.message}))
        else:
            state = outcome
    return state, rejections


def _integer(digits: str) -> int:
    """Return an integer; digits beyond what any field accepts are cut, the number is rejected either way."""
    return int(digits[:DIGITS_MAX])


def _refuse_constant(name: str) -> Iterator[Any]:
    raise ValueError(f"{name} is no JSON")
