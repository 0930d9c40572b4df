"""Records that kill the process itself: found by restarting it, put aside, and the rest applied."""

import signal

import pytest

from tests.integration.mortal import DEADLY_BYTES, DEADLY_MODEL
from tests.integration.play import Play, now_ms
from tests.integration.processes import ProcessorProcess
from tests.integration.submitter import Line
from tests.poison.kinds import load
from tests.waiting import wait_until

MORTAL = ("-m", "tests.integration.mortal")
DEATH_TIMEOUT_S = 120.0
GOOD_MODELS = 6


def supervised(play: Play, process: ProcessorProcess) -> list[int]:
    """Start the process again whenever it has died, until all is consumed; return how it died each time."""
    deaths: list[int] = []

    def is_consumed() -> bool:
        code = process.exit_code
        if code is not None:
            deaths.append(code)
            process.start()
        return play.unconsumed() == 0

    process.start()
    wait_until(is_consumed, what="everything is consumed in spite of the deaths", timeout_s=DEATH_TIMEOUT_S)
    return deaths


@pytest.mark.parametrize("attempts_max", [2, 3])
def test_what_kills_the_process_is_put_aside_after_its_attempts_and_the_rest_is_applied(
    play: Play, attempts_max: int
) -> None:
    process = play.stage.processor(MORTAL, DEAD_LETTERS__CRASH_ATTEMPTS_MAX=str(attempts_max), CLOCK__ENABLED="false")
    good = [Line("normal", load(f"good-{number}"), now_ms()) for number in range(GOOD_MODELS)]
    to_decode = Line("high", DEADLY_BYTES, now_ms(), (("ce_id", b"decode"), ("odd", b"\xff")))
    to_reduce = Line("normal", load(DEADLY_MODEL), now_ms(), (("ce_id", b"reduce"),))
    play.submitter.send([*good[:3], to_reduce, to_decode, *good[3:]])
    deaths = supervised(play, process)
    artefacts = play.assert_whole()
    # the first death finds nobody prepared: its whole batch was at hand
    counted = attempts_max - 1
    assert deaths == [-signal.SIGSEGV] * (1 + counted) + [-signal.SIGKILL] * counted
    letters = {letter.headers["ce_id"]: letter for letter in artefacts.dead_letters}
    assert {name: letter.headers["dead-letter-code"] for name, letter in letters.items()} == {
        "decode": "process_crash",
        "reduce": "process_crash",
    }
    assert letters["decode"].record.value == DEADLY_BYTES
    assert letters["reduce"].record.value == load(DEADLY_MODEL)
    assert artefacts.store.entities.keys() >= {f"model/good-{number}" for number in range(GOOD_MODELS)}
    assert f"model/{DEADLY_MODEL}" not in artefacts.store.entities
