"""The real engine under faults: what a seed decides, it decides the same way every time."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from functools import partial

import pytest

from tests.simulation.faults import KINDS
from tests.simulation.run import Outcome, Run
from tests.simulation.shrinking import shrunk, told
from tests.simulation.zoo import ZOO

SEEDS = range(200)


def again(seed: int, without: Collection[str]) -> Outcome:
    return Run(seed, without=without).play()


def assert_sound(outcomes: list[Outcome]) -> None:
    failed = [outcome for outcome in outcomes if outcome.findings]
    shown = [told(*shrunk(outcome, partial(again, outcome.seed))) for outcome in failed[:2]]
    assert not failed, f"{len(failed)} seeds failed\n\n" + "\n\n".join(shown)


def test_no_fault_loses_repeats_or_reorders_anything() -> None:
    outcomes = [Run(seed).play() for seed in SEEDS]
    assert_sound(outcomes)
    fired: Counter[str] = Counter()
    for outcome in outcomes:
        fired.update(outcome.fired)
    assert [kind for kind in KINDS if not fired[kind]] == []
    assert [outcome.seed for outcome in outcomes if not outcome.commits_in_calm] == []
    busy = [outcome for outcome in outcomes if outcome.commits_under_faults]
    assert len(busy) > len(outcomes) * 3 // 4


@pytest.mark.slow
@pytest.mark.parametrize("first", range(200, 600, 200))
def test_no_fault_loses_repeats_or_reorders_anything_over_more_seeds(first: int) -> None:
    assert_sound([outcome for outcome in (Run(seed).play() for seed in range(first, first + 200)) if outcome.findings])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_seed_gives_the_same_schedule_again(seed: int) -> None:
    assert Run(seed).play().schedule == Run(seed).play().schedule


def test_a_seed_gives_the_same_schedule_whatever_the_hash_seed() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seed", "4", "--schedule"]
    said = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, check=True, text=True
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(said) == 1
    assert said.pop().splitlines() == list(Run(4).play().schedule)


def test_leaving_a_kind_of_fault_out_leaves_the_others_as_they_were() -> None:
    outcome = Run(0).play()
    less = Run(0, without=outcome.kinds[:1]).play()
    assert less.kinds == outcome.kinds[1:]


def test_a_failing_seed_is_told_with_the_faults_that_it_takes_and_how_to_see_it_again() -> None:
    defect = ZOO["tails not read again"].defect

    def play(without: Collection[str]) -> Outcome:
        return Run(4, without=without, defect=defect).play()

    failed = play(())
    smallest, without = shrunk(failed, play)
    assert failed.findings
    assert 0 < len(smallest.kinds) < len(failed.kinds)
    text = told(smallest, without)
    assert f"--seed 4 --without {without[0]!r}" in text
    assert len(text.splitlines()) < 130
