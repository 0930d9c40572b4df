"""A whole run: lines in, one document out (the simulation contract)."""

import json
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from tests.reference.border import InvalidEventError, check_event
from tests.reference.changes import diff
from tests.reference.settle import apply
from tests.reference.turn import RefusedError
from tests.reference.words import Json, empty_state


def simulate(lines: Iterable[str], state: Json | None = None, batch_events: int = 1) -> Json:
    """Return {state, changes, rejected} of one JSON event a line; blank lines do not count."""
    state = deepcopy(state) if state is not None else empty_state()
    changes: list[Json] = []
    rejected: list[Json] = []
    events = [line for line in lines if line.strip()]
    for first in range(0, len(events), batch_events):
        before = state
        for index in range(first, min(first + batch_events, len(events))):
            state, refusal = step(state, events[index])
            if refusal:
                rejected.append({"index": index, **refusal})
        changes += [{"batch": first // batch_events, **change} for change in diff(before, state)]
    return {"state": state, "changes": changes, "rejected": rejected}


def step(state: Json, line: str) -> tuple[Json, Json | None]:
    """Return the state after one line, and the rejection if it was refused."""
    decoded = decode(line)
    kind = decoded.get("type", "") if isinstance(decoded, dict) else ""
    refusal = {"type": kind if isinstance(kind, str) else "", "message": ""}
    try:
        return apply(state, *check_event(decoded)), None
    except InvalidEventError as error:
        return state, {**refusal, "code": "invalid_event", "message": str(error)}
    except RefusedError as error:
        return state, {**refusal, "code": str(error)}


def decode(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
