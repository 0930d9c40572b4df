"""A whole run: lines in, one document out (the simulation contract)."""

import json
from collections.abc import Iterable
from typing import Any

from tests.reference.border import InvalidEventError, check_event
from tests.reference.changes import diff
from tests.reference.settle import apply
from tests.reference.turn import RefusedError
from tests.reference.words import Json, copied, empty_state

Trace = tuple[list[Json], list[Json]]


def simulate(lines: Iterable[str], state: Json | None = None, batch_events: int = 1) -> Json:
    """Return {state, changes, rejected} of one JSON event a line; blank lines do not count."""
    return document(trace(lines, state), batch_events)


def trace(lines: Iterable[str], state: Json | None = None) -> Trace:
    """Return the states, the given one first, and the rejection of each event that was refused."""
    states = [copied(state) if state is not None else empty_state()]
    rejected: list[Json] = []
    for index, line in enumerate(line for line in lines if line.strip()):
        after, refusal = step(states[-1], line)
        states.append(after)
        rejected += [{"index": index, **refusal}] if refusal else []
    return states, rejected


def document(traced: Trace, batch_events: int) -> Json:
    states, rejected = traced
    events = len(states) - 1
    changes = [
        {"batch": first // batch_events, **change}
        for first in range(0, events, batch_events)
        for change in diff(states[first], states[min(first + batch_events, events)])
    ]
    return {"state": states[-1], "changes": changes, "rejected": rejected}


def step(state: Json, line: str) -> tuple[Json, Json | None]:
    """Return the state after one line, and the rejection if it was refused."""
    decoded = decode(line)
    kind = decoded.get("type", "") if isinstance(decoded, dict) else ""
    refusal = {"type": kind.encode("utf-8", "replace").decode() if isinstance(kind, str) else "", "message": ""}
    try:
        return apply(state, *check_event(decoded)), None
    except InvalidEventError as error:
        return state, {**refusal, "code": "invalid_event", "message": str(error)}
    except RefusedError as error:
        return state, {**refusal, "code": str(error)}


def decode(line: str) -> Any:
    try:
        # no field takes so many digits, and Python reads no number of thousands
        return json.loads(line, parse_constant=refuse_constant, parse_int=lambda digits: int(digits[:30]))
    except (ValueError, RecursionError):
        return None


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
