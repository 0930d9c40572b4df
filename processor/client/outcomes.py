"""What became of a submitted event, read from the commit log: pure functions over decoded commit records."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from processor.engine.announcements import Outcome
from processor.engine.inputs import RecordId

CountBefore = Callable[[str, int, int, int], int]
"""(topic, partition, from, offset) → how many data records stand in [from, offset)."""


class EventOutcome(msgspec.Struct, frozen=True):
    """What became of one record, in which commit; `code` and `message` where it was refused."""

    place: RecordId
    seq: int
    outcome: Outcome
    code: str = ""
    message: str = ""


def outcomes_in(commit: Mapping[str, Any], places: Iterable[RecordId], count_before: CountBefore) -> list[EventOutcome]:
    """Return the outcomes of those places that this commit-log record covers."""
    wanted = list(places)
    found: list[EventOutcome] = []
    position = 0
    for span in commit["ranges"]:
        for place in wanted:
            if (place.topic, place.partition) != (span["topic"], span["partition"]):
                continue
            if span["from"] <= place.offset < span["to"]:
                index = position + _index_in(span, place, count_before)
                found.append(EventOutcome(place, commit["seq"], _outcome_at(commit["outcomes"], index)))
        position += span["count"]
    return found


def _index_in(span: Mapping[str, Any], place: RecordId, count_before: CountBefore) -> int:
    """Return how many data records of the range stand before the place; only holes make it necessary to look."""
    if span["count"] == span["to"] - span["from"]:
        return int(place.offset - span["from"])
    return count_before(place.topic, place.partition, span["from"], place.offset)


def _outcome_at(runs: Iterable[Mapping[str, Any]], index: int) -> Outcome:
    for run in runs:
        if index < run["count"]:
            outcome: Outcome = run["outcome"]
            return outcome
        index -= run["count"]
    raise ValueError("the commit record has fewer outcomes than records")
