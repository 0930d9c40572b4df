from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from processor.demo.feed import Feed, words
from processor.demo.totals import Totals
from processor.engine.announcements import Outcome
from processor.engine.inputs import Cause
from processor.engine.reports import EventReport, StepReport


class _Change(msgspec.Struct, frozen=True):
    kind: str
    name: str
    op: str
    transitions: tuple[Any, ...]
    before: Any = None
    after: Any = None

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"


def _event(type_name: str, outcome: Outcome = "applied", *, topic: str = "control", code: str = "") -> EventReport:
    return EventReport(Cause(topic, 0, 0, "id-1", type_name), outcome, at_ms=0, code=code)


def _report(events: Iterable[EventReport], changes: tuple[_Change, ...] = (), **more: Any) -> StepReport:
    return StepReport(shard=0, epoch=1, seq=12, committed_ms=0, events=tuple(events), changes=changes, **more)


def _lines(report: StepReport, *, colours: bool = False) -> list[str]:
    feed = Feed({"id-1": "iris"}.__getitem__, {"servers": "high", "control": "normal"}, colours=colours)
    return list(feed.lines(report))


def test_events_come_before_what_they_changed() -> None:
    change = _Change("model", "iris", "create", ({"type": "ModelAdded"}, {"type": "ModelVersionAdded", "version": 1}))
    assert _lines(_report([_event("ModelLoadRequested")], (change,))) == [
        "    12   ModelLoadRequested iris",
        "           + model/iris  added, version added 1",
    ]


def test_the_high_lane_is_marked() -> None:
    assert _lines(_report([_event("ServerReplicaDraining", topic="servers")])) == [
        "    12 ▲ ServerReplicaDraining iris"
    ]


def test_a_refusal_says_why() -> None:
    events = [
        _event("ModelLoadRequested", "rejected", code="stale_generation"),
        _event("", "dead_lettered", code="undecodable"),
    ]
    assert _lines(_report(events)) == [
        "    12   ModelLoadRequested iris ✗ rejected: stale_generation",
        "         record iris ✗ dead letter: undecodable",
    ]


def test_a_flood_of_repeats_is_one_line() -> None:
    report = _report([_event("ModelLoadRequested", "unchanged")] * 500, overtook=2)
    assert _lines(report)[:1] == ["    12   500 × ModelLoadRequested: nothing changed"]
    assert "high first: 2" in _lines(report)[1]


def test_a_change_without_transitions_is_an_update() -> None:
    assert _lines(_report([], (_Change("server", "cpu", "update", ()),))) == ["           ~ server/cpu  updated"]


def test_long_commits_are_cut() -> None:
    lines = _lines(_report([_event("ModelRouteApplied")] * 20))
    assert len(lines) == 13
    assert lines[-1].endswith("… and 8 events more")


def test_colours_only_where_they_are_wanted() -> None:
    change = _Change("model", "iris", "update", ({"type": "ModelAvailable", "version": 1, "from": "Progressing"},))
    report = _report([_event("ModelRouteApplied")], (change,))
    assert "\x1b" not in "".join(_lines(report))
    assert "\x1b[32mv1 Progressing→Available\x1b[0m" in "".join(_lines(report, colours=True))


@pytest.mark.parametrize(
    ("transition", "text"),
    [
        (
            {
                "type": "ModelRoutesChanged",
                "route_revision": 2,
                "routes": [{"version": 2, "server": "cpu", "replicas": [0, 1], "weight": 100}],
            },
            "routes r2 v2 cpu/0,1 100%",
        ),
        ({"type": "ModelRoutesChanged", "route_revision": 3, "routes": []}, "routes r3 none"),
        ({"type": "ReplicaLoadRequested", "version": 1, "server": "cpu", "replica": 0}, "load v1 on cpu/0"),
        (
            {"type": "ReplicaStateChanged", "version": 1, "server": "cpu", "replica": 0, "from": "", "to": "Loaded"},
            "v1 on cpu/0 ·→Loaded",
        ),
        ({"type": "ServerScaleRequested", "to": 3}, "scale requested 3"),
        ({"type": "ExperimentActive", "from": "Pending", "reason": ""}, "Pending→Active"),
        ({"type": "PipelineCreateRequested", "version": 1, "role": "x", "sequence": 2}, "create requested 1 x 2"),
    ],
)
def test_a_transition_in_a_few_words(transition: dict[str, Any], text: str) -> None:
    assert words(transition) == text


def test_totals_add_up() -> None:
    report = _report(
        [_event("A"), _event("B", "rejected"), _event("C", "dead_lettered"), _event("D", "unchanged")],
        (_Change("model", "iris", "create", ()),),
        overtook=1,
        digest="ab",
        announcement_types=("x", "y"),
    )
    totals = Totals().after(report).after(_report([], digest=""))
    assert totals.document() == {
        "events": 4,
        "commits": 2,
        "changes": 1,
        "rejected": 1,
        "dead_lettered": 1,
        "high_first": 1,
        "digest": "ab",
    }
    assert totals.announced == 2
