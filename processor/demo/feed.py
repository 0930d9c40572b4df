"""The live feed: the events and changes of each commit, one short line each."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from processor.engine.machine import Change
from processor.engine.reports import EventReport, StepReport
from processor.runtime.terminal import paint

TRANSITIONS_SHOWN_MAX = 6
EVENTS_SHOWN_MAX = 12
EDGE = " " * 7

_STATUS_COLOURS = {
    "Available": "green",
    "Ready": "green",
    "Active": "green",
    "Failed": "red",
    "ScheduleFailed": "red",
    "LoadFailed": "red",
    "TerminateFailed": "red",
    "UnloadFailed": "red",
}


class Feed:
    """Renders step reports; `subject(event_id)` describes an event in a few words, `lanes` is topic → lane."""

    def __init__(self, subject: Callable[[str], str], lanes: Mapping[str, str], *, colours: bool) -> None:
        self._subject = subject
        self._lanes = lanes
        self._colours = colours

    def lines(self, report: StepReport) -> Iterator[str]:
        """Yield the lines of one commit."""
        shown = [event for event in report.events if event.outcome != "unchanged"]
        heading = f"{report.seq:>6} "
        for event in shown[:EVENTS_SHOWN_MAX]:
            yield heading + self._event(event)
            heading = EDGE
        if len(shown) > EVENTS_SHOWN_MAX:
            yield f"{EDGE}… and {len(shown) - EVENTS_SHOWN_MAX} events more"
        yield from (heading + line for line in self._background(report))
        yield from (EDGE + self._change(change) for change in report.changes)

    def highlight(self, text: str) -> str:
        """Return a highlighted line."""
        return EDGE + paint(f"★ {text}", "yellow", wanted=self._colours)

    def _event(self, event: EventReport) -> str:
        high = self._lanes.get(event.cause.topic) == "high"
        mark = paint("▲", "yellow", wanted=self._colours) if high else " "
        text = f"{mark} {event.cause.event_type or 'record'} {self._subject(event.cause.event_id)}".rstrip()
        if event.outcome == "applied":
            return text
        outcome = "rejected" if event.outcome == "rejected" else "dead letter"
        return f"{text} {paint(f'✗ {outcome}: {event.code}', 'red', wanted=self._colours)}"

    def _background(self, report: StepReport) -> Iterator[str]:
        counts = Counter(event.cause.event_type for event in report.events if event.outcome == "unchanged")
        for type_name, count in sorted(counts.items()):
            yield paint(f"  {count} × {type_name}: nothing changed", "grey", wanted=self._colours)
        if report.overtook:
            yield paint(f"▲ high first: {report.overtook}, while normal ones waited", "grey", wanted=self._colours)

    def _change(self, change: Change) -> str:
        sign, colour = {"create": ("+", "green"), "delete": ("−", "red")}.get(change.op, ("~", "cyan"))
        words = [word for word in map(self._words, map(facts_of, change.transitions)) if word]
        shown = ", ".join(words[:TRANSITIONS_SHOWN_MAX]) or "updated"
        more = f", {len(words) - TRANSITIONS_SHOWN_MAX} more" if len(words) > TRANSITIONS_SHOWN_MAX else ""
        return f"    {paint(f'{sign} {change.key}', colour, wanted=self._colours)}  {shown}{more}"

    def _words(self, transition: Mapping[str, Any]) -> str:
        text = words(transition)
        status = next((status for status in _STATUS_COLOURS if text.endswith(f"→{status}")), None)
        return paint(text, _STATUS_COLOURS[status], wanted=self._colours) if status else text


def facts_of(transition: Any) -> Mapping[str, Any]:
    """Return a transition as its JSON: `type` and the attributes that apply."""
    facts: Mapping[str, Any] = transition if isinstance(transition, dict) else msgspec.to_builtins(transition)
    return {name: value for name, value in facts.items() if value is not None}


def words(transition: Mapping[str, Any]) -> str:
    """Describe a transition in a few words."""
    match transition:
        case {"type": "ModelRoutesChanged", "route_revision": revision, "routes": routes}:
            return f"routes r{revision} {'; '.join(map(_route, routes)) or 'none'}"
        case {"type": "ReplicaLoadRequested" | "ReplicaUnloadRequested" as type_name}:
            return f"{'load' if type_name == 'ReplicaLoadRequested' else 'unload'} {_place(transition)}"
        case {"type": "ReplicaStateChanged", "from": old, "to": new}:
            return f"{_place(transition)} {old or '·'}→{new or '·'}"
        case {"type": str(type_name), "from": old}:
            return f"{_version(transition)}{old or '·'}→{_after_kind(type_name)}"
        case {"type": str(type_name)}:
            attributes = (str(value) for name, value in transition.items() if name != "type")
            return " ".join([_spaced(_after_kind(type_name)), *attributes])
        case _:
            return str(transition)


def _route(route: Mapping[str, Any]) -> str:
    replicas = ",".join(str(index) for index in route["replicas"])
    return f"v{route['version']} {route['server']}/{replicas} {route['weight']}%"


def _place(transition: Mapping[str, Any]) -> str:
    return f"{_version(transition)}on {transition['server']}/{transition['replica']}"


def _version(transition: Mapping[str, Any]) -> str:
    return f"v{transition['version']} " if "version" in transition else ""


def _after_kind(type_name: str) -> str:
    return re.sub("^(Model|Server|Pipeline|Experiment|Responder|Failure|Policy)(?=[A-Z])", "", type_name)


def _spaced(type_name: str) -> str:
    return re.sub("(?<!^)([A-Z])", r" \1", type_name).lower()
