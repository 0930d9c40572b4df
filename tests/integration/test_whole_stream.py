"""Ten thousand events of a plausible life, judged from the outside."""

from random import Random

import pytest

from tests.checker.epochs import epochs_seen
from tests.integration.conftest import Note
from tests.integration.play import Play, outcomes

EVENTS = 10_000
KILLS = 10
# After a kill, two batches' worth of records are taken one by one: half of the kills are to come later than that.
BATCH = "50"

pytestmark = pytest.mark.slow


def test_ten_thousand_events_on_both_topics_are_processed_exactly_once(play: Play) -> None:
    processor = play.stage.start()
    processor.wait_until_ready()
    traffic = play.traffic(play.script(EVENTS), records_per_s=2000)
    traffic.allow(traffic.total)
    traffic.wait_until_sent(traffic.total)
    artefacts = play.assert_whole()
    counted = outcomes(artefacts)
    assert counted["applied"] > EVENTS // 5, counted
    assert min(counted["unchanged"], counted["rejected"]) > EVENTS // 50, counted
    assert counted["dead_lettered"] > EVENTS // 200, counted
    assert len(artefacts.commits) > EVENTS // 500


def test_nothing_is_lost_or_doubled_by_ten_kills_while_events_flow(play: Play, note: Note) -> None:
    random = Random(7)
    processor = play.stage.start(SHARDS__LEASE_TTL_S="1", BATCH__EVENTS_MAX=BATCH)
    traffic = play.traffic(play.script(EVENTS, seed=2), records_per_s=500)
    part = traffic.total // (KILLS + 1)
    unconsumed: list[int] = []
    for kill in range(KILLS):
        traffic.allow(kill * part + part // 2)  # while nobody owns the shard
        play.wait_for_epochs(kill + 1)
        if kill % 2:
            play.wait_until_consumed()
        traffic.allow((kill + 1) * part)
        traffic.wait_until_sent(kill * part + part // 2 + random.randrange(part // 20, part // 3))
        assert traffic.sent < (kill + 1) * part, "traffic must flow when the process is killed"
        processor.kill()
        unconsumed.append(play.unconsumed())
        processor.start()
    traffic.allow(traffic.total)
    traffic.wait_until_sent(traffic.total)
    artefacts = play.assert_whole()
    assert len(epochs_seen(artefacts)) == KILLS + 1
    note(f"acknowledged and not yet committed when killed: {unconsumed}")
    assert any(unconsumed), "no kill met a batch under way"
