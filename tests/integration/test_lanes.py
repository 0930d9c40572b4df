"""High events while the normal lane is flooded: they overtake, and normal still goes on."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from processor.engine.inputs import Record
from tests.checker.priority import priority
from tests.integration.conftest import Note
from tests.integration.play import Play, now_ms
from tests.integration.submitter import Line

FLOOD = 20_000
HIGH_EVENTS = 60
FIRST_AFTER = 500

pytestmark = pytest.mark.slow


def test_high_events_overtake_a_flood_of_normal_ones_which_still_goes_on(play: Play, note: Note) -> None:
    play.stage.start().wait_until_ready()
    play.submitter.send(_flood(play))
    high, normal = play.stage.topics["high"], play.stage.topics["normal"]
    play.wait_until_consumed_of(normal, FIRST_AFTER)
    for number in range(HIGH_EVENTS):
        play.submitter.send([_declared(play, number)])
        play.wait_until_consumed_of(high, number + 1)
    artefacts = play.assert_whole()
    assert list(priority(artefacts, high=high, normal=normal)) == []
    commits = [commit.value for commit in artefacts.commits]
    overtaking = [place for place, commit in enumerate(commits) if high in _topics(commit)]
    flooded = [place for place in overtaking if _position(commits[: place + 1], normal) < FLOOD]
    note(_measured(play, flooded, artefacts.inputs))
    assert len(flooded) > HIGH_EVENTS // 4, "the flood was over before the high events came"
    assert _position(commits[: flooded[-1]], normal) > _position(commits[: flooded[0]], normal), "normal stood still"


def _flood(play: Play) -> list[Line]:
    spec = {"uri": "s3://models/x", "memory": 1}
    encode = play.reference.schemas.encode
    name = "processor.events.ModelLoadRequested"
    return [
        Line(
            "normal",
            encode(name, {"model": f"model-{number % 2000}", "spec": {**spec, "instances": number // 2000 + 1}}),
            now_ms(),
        )
        for number in range(FLOOD)
    ]


def _declared(play: Play, number: int) -> Line:
    told = {"server": "pool", "generation": number + 1, "expected_replicas": number}
    return Line("high", play.reference.schemas.encode("processor.events.ServerDeclared", told), now_ms())


def _topics(commit: Mapping[str, Any]) -> set[str]:
    return {part["topic"] for part in commit["ranges"]}


def _position(commits: Sequence[Mapping[str, Any]], topic: str) -> int:
    return max((part["to"] for commit in commits for part in commit["ranges"] if part["topic"] == topic), default=0)


def _measured(play: Play, places: Sequence[int], inputs: Sequence[Record]) -> str:
    """Return how long after its timestamp each high event was committed, and its commit read from the commit log."""
    high = play.stage.topics["high"]
    sent_ms = {record.offset: record.timestamp_ms for record in inputs if record.topic == high}
    committed, read = [], []
    for place in places:
        commit = play.follower.commits[place]
        for part in commit["ranges"]:
            for offset in range(part["from"], part["to"]) if part["topic"] == high else ():
                committed.append(commit["committed_ms"] - sent_ms[offset])
                read.append(play.follower.arrivals_ms[place] - sent_ms[offset])
    met = f"{len(read)} of {HIGH_EVENTS} events met the flood"
    return (
        f"high event behind a flood: sent to committed {_spread(committed)}, sent to announced {_spread(read)} ({met})"
    )


def _spread(waits_ms: Sequence[float]) -> str:
    cuts = statistics.quantiles(waits_ms, n=100)
    return f"p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms"
