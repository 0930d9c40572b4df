"""A transcript: what people write (remarks and events) and below each event what became of it.

    # A remark.
    > ModelLoadRequested iris
    2s applied
      + model iris: ModelAdded; ...
        = generation 0, ...

`+` was made, `~` has changed, `-` is gone; transitions in their order, then after `=` what is new of how the entity
stands.
"""

from collections.abc import Iterator

from msgspec import Struct

from processor.cli.wording import transition_words
from processor.cluster.changes import Change
from processor.cluster.document import change_to_json
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from processor.cluster.simulation import parse_line
from processor.cluster.state import State
from tests.scenarios.notation import read_event
from tests.scenarios.telling import standing, time_words

REMARK = "#"
EVENT = "> "
SIGNS = {"create": "+", "update": "~", "delete": "-"}


class Story(Struct, frozen=True):
    """The written part: its lines, remarks and events in their order, and the events as lines of a simulation input."""

    written: tuple[str, ...]
    events: tuple[str, ...]


def read_story(text: str) -> Story:
    """Return the written part of a transcript. Raises ValueError for a line that is no event."""
    written = tuple(line for line in text.splitlines() if line.startswith((REMARK, EVENT)))
    at_ms, events = 0, []
    for line in written:
        if line.startswith(EVENT):
            at_ms, event = read_event(line.removeprefix(EVENT), at_ms)
            events.append(event)
    return Story(written, tuple(events))


def tell(story: Story) -> str:
    """Return the whole transcript: the written part, and below each event what became of it."""
    machine, state = ClusterMachine(), ClusterMachine().empty()
    events = iter(story.events)
    lines: list[str] = []
    for line in story.written:
        if lines and not lines[-1].startswith(REMARK):
            lines.append("")
        lines.append(line)
        if line.startswith(EVENT):
            before = machine.begin(state)
            state, told = _happened(machine, before, next(events))
            lines += told
    return "".join(f"{line}\n" for line in lines)


def _happened(machine: ClusterMachine, before: State, line: str) -> tuple[State, list[str]]:
    event = parse_line(line)["event"]
    if isinstance(event, Rejected):
        return before, [f"rejected {event.code}: {event.message}"]
    at = time_words(event.at_ms)
    after = machine.apply(before, event)
    if isinstance(after, Rejected):
        return before, [f"{at} rejected {after.code}: {after.message}"]
    if after is before:
        return before, [f"{at} unchanged"]
    return after, [f"{at} applied", *(line for change in machine.diff(before, after) for line in _changed(change))]


def _changed(change: Change) -> Iterator[str]:
    transitions = "; ".join(transition_words(one) for one in change_to_json(change)["transitions"])
    yield f"  {SIGNS[change.op]} {change.kind} {change.name}{f': {transitions}' if transitions else ''}"
    if change.after is not None:
        before = standing(change.kind, change.before) if change.before is not None else []
        yield from (f"    = {line}" for line in standing(change.kind, change.after) if line not in before)
