"""High events while the normal lane is flooded: they overtake, and normal still goes on."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

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
    waits_ms, behind = [], []
    for number in range(HIGH_EVENTS):
        sent_s = time.monotonic()
        play.submitter.send([_declared(play, number)])
        play.wait_until_consumed_of(high, number + 1)
        waits_ms.append((time.monotonic() - sent_s) * 1000)
        behind.append(FLOOD - play.follower.consumed(normal))
    artefacts = play.assert_whole()
    note(_measured(waits_ms, behind))
    commits = [commit.value for commit in artefacts.commits]
    overtaking = [place for place, commit in enumerate(commits) if high in _topics(commit)]
    flooded = [place for place in overtaking if _position(commits[: place + 1], normal) < FLOOD]
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


def _measured(waits_ms: Sequence[float], behind: Sequence[int]) -> str:
    flooded = [wait for wait, rest in zip(waits_ms, behind, strict=True) if rest > 0]
    cuts = statistics.quantiles(flooded, n=100) if len(flooded) > 1 else [float("nan")] * 99
    return (
        f"high event, produced to read in the commit log, behind a flood: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms "
        f"({len(flooded)} of {len(waits_ms)} events met the flood)"
    )
