from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from processor.client.codec import DecodedRecord
from processor.engine.inputs import Record, Watermarks
from processor.history.events import reduced_by
from processor.memory.broker import MemoryBroker, NewRecord

COMMIT: dict[str, Any] = {
    "ranges": [
        {"topic": "high", "partition": 0, "from": 0, "to": 2, "count": 2},
        {"topic": "normal", "partition": 0, "from": 1, "to": 5, "count": 4},
        {"topic": "normal", "partition": 0, "from": 5, "to": 5, "count": 0},
    ],
    "outcomes": [
        {"outcome": "applied", "count": 3},
        {"outcome": "rejected", "count": 2},
        {"outcome": "dead_lettered", "count": 1},
    ],
}


class Inputs:
    """One topic of the broker in memory, as a log."""

    def __init__(self, topic: str, *, low: int = 0) -> None:
        self._topic, self._broker = topic, MemoryBroker(lambda: 7)
        self._broker.create_topic(topic)
        for number in range(8):
            self._broker.append(NewRecord(topic, 0, None, b"%d" % number))
        self._broker.trim(topic, 0, low)

    def watermarks(self) -> Mapping[int, Watermarks]:
        extent = self._broker.extent(self._topic, 0)
        return {0: Watermarks(extent.low, extent.high)}

    def until_end(self, starts: Mapping[int, int]) -> Iterator[Record]:
        yield from self._broker.read(self._topic, 0, starts[0], 100)


def _decode(record: Record) -> DecodedRecord:
    value = int(record.value or b"")
    return DecodedRecord(record.topic, record.partition, record.offset, 7, None, (), "processor.events.Odd", value)


def _told(index: int, *, low: int = 0, events_max: int = 100) -> tuple[list[tuple[int, str]], tuple[str, ...]]:
    span = COMMIT["ranges"][index]
    found = reduced_by(COMMIT, span, Inputs(span["topic"], low=low), _decode, events_max=events_max)
    return [(event.offset, event.outcome) for event in found.events], found.missing


def test_each_event_has_its_outcome_in_the_order_of_the_ranges() -> None:
    assert _told(0) == ([(0, "applied"), (1, "applied")], ())
    assert _told(1) == ([(1, "applied"), (2, "rejected"), (3, "rejected"), (4, "dead_lettered")], ())
    assert _told(2) == ([], ())


def test_what_is_told_of_an_event() -> None:
    span = COMMIT["ranges"][0]
    event = reduced_by(COMMIT, span, Inputs("high"), _decode).events[1]
    assert (event.topic, event.partition, event.at_ms, event.id, event.type, event.value) == (
        "high", 0, 7, "high-0-1", "Odd", 1,
    )  # fmt: skip


def test_outcomes_are_counted_from_the_end_where_the_beginning_is_gone() -> None:
    told, missing = _told(1, low=3)
    assert told == [(3, "rejected"), (4, "dead_lettered")]
    assert missing == ("normal[0] 1 to 4: 2 of 4 events are gone, retention took them",)
    assert _told(1, low=7) == ([], ("normal[0] 1 to 4: 4 of 4 events are gone, retention took them",))


@pytest.mark.parametrize(("low", "first"), [(0, (1, "applied")), (2, (2, "rejected"))])
def test_a_limit_is_told(low: int, first: tuple[int, str]) -> None:
    told, missing = _told(1, low=low, events_max=1)
    assert told == [first]
    assert missing[-1] == f"normal[0] 1 to 4: {3 if low < 2 else 2} more events are not shown"
