"""A producer that sends nothing but nonsense pauses the shard; nobody drains a topic into the dead letters unseen."""

from http import HTTPStatus

from tests.integration.play import Play, now_ms
from tests.integration.submitter import Line
from tests.poison.kinds import load
from tests.waiting import wait_until

IN_A_ROW_MAX = 20
BATCH_EVENTS = 5
NONSENSE = 200


def test_nonsense_pauses_the_shard_until_an_operator_lets_it_go_on(play: Play) -> None:
    settings = {"BATCH__EVENTS_MAX": str(BATCH_EVENTS), "CLOCK__ENABLED": "false"}
    strict = play.stage.start(DEAD_LETTERS__MAX_CONSECUTIVE=str(IN_A_ROW_MAX), **settings)
    strict.wait_until_ready()
    nonsense = [Line("normal", b"nonsense %d" % number, now_ms()) for number in range(NONSENSE)]
    play.submitter.send([Line("normal", load("before"), now_ms()), *nonsense, Line("normal", load("after"), now_ms())])

    def is_paused() -> bool:
        status, reason = strict.get("/readyz")
        return status == HTTPStatus.SERVICE_UNAVAILABLE and "breaker open" in reason

    wait_until(is_paused, what="the probe says that the breaker is open", timeout_s=60.0)
    assert strict.terminate() == 0
    put_aside = play.stage.record_count("dead-letters")
    # a batch may be under way and another one be prepared when the last of the row is committed
    assert IN_A_ROW_MAX <= put_aside <= IN_A_ROW_MAX + 2 * BATCH_EVENTS
    assert play.unconsumed() > 0
    play.stage.start(DEAD_LETTERS__MAX_CONSECUTIVE="1000", DEAD_LETTERS__MAX_RATIO="1", **settings)
    play.wait_until_consumed()
    artefacts = play.assert_whole()
    assert len(artefacts.dead_letters) == NONSENSE
    assert artefacts.store.entities.keys() >= {"model/before", "model/after"}
