"""Stories as transcripts. `pytest tests/scenarios --rewrite` writes what happens; a reviewer reads the difference."""

import json
from pathlib import Path

import pytest

from processor.cluster.events import EVENT_TYPES
from processor.cluster.explanations import experiments, pipelines
from processor.cluster.lifecycle import LIVE_STATUS, REPLICA_STATES, RETIRING_STATUS
from processor.cluster.pipeline_lifecycle import RESPONDER_JOINED
from processor.cluster.transitions import TRANSITIONS
from tests.reference.comparison import Way, differences
from tests.scenarios.notation import read_event
from tests.scenarios.transcript import read_story, tell

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_what_happens_is_what_the_transcript_says(path: Path, *, rewriting: bool) -> None:
    written = path.read_text()
    happened = tell(read_story(written))
    if rewriting:
        path.write_text(happened)
    else:
        assert happened == written


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_reference_tells_the_same_story(path: Path) -> None:
    assert differences(list(read_story(path.read_text()).events), Way()) == []


def test_the_transcripts_know_every_event() -> None:
    told = {json.loads(event)["type"] for path in TRANSCRIPTS for event in read_story(path.read_text()).events}
    assert set(EVENT_TYPES) - told == set()


def test_the_transcripts_come_by_every_kind_state_and_status() -> None:
    text = "".join(path.read_text() for path in TRANSCRIPTS)
    statuses = [status for rules in (LIVE_STATUS, RETIRING_STATUS) for status, _ in rules]
    words = [
        *TRANSITIONS,
        *REPLICA_STATES,
        *statuses,
        *RESPONDER_JOINED,
        *experiments.STATUS_RULES,
        *pipelines.STATUS_RULES,
    ]
    assert [word for word in words if word not in text] == []
    assert len(TRANSCRIPTS) >= 10


def test_a_time_before_an_event_is_its_time() -> None:
    assert [read_event(f"@{time} ClockTicked", 5_000)[0] for time in ("7ms", "3s", "2m", "1h")] == [
        7,
        3_000,
        120_000,
        3_600_000,
    ]
    assert read_event("ClockTicked", 5_000)[0] == 6_000


def test_what_an_event_is_not_about_is_refused() -> None:
    with pytest.raises(ValueError, match="s1 is not what ServerReplicaDraining is about"):
        read_event("ServerReplicaDraining s1", 0)
