"""Play many seeds, or one again: `python -m tests.simulation --seeds 100000`, `… --seed 17 --without crash`."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from time import monotonic

from tests.simulation.faults import KINDS
from tests.simulation.run import Outcome, Run
from tests.simulation.shrinking import shrunk, told

LOT = 50
"""Seeds that a worker plays before it reports."""
REPORT_INTERVAL_S = 10.0
FAILURES_SHOWN_MAX = 3


def main() -> int:
    """Return 1 when a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes to play them in")
    parser.add_argument("--seed", type=int, help="play this one again and tell what happened")
    parser.add_argument("--without", action="append", default=[], choices=KINDS, help="a kind of fault to leave out")
    parser.add_argument("--schedule", action="store_true", help="print the whole schedule of --seed")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _again(arguments.seed, arguments.without, whole=arguments.schedule)
    return _many(range(arguments.first, arguments.first + arguments.seeds), jobs=arguments.jobs)


def _again(seed: int, without: list[str], *, whole: bool) -> int:
    outcome = _without(seed, without)
    if whole:
        _say("\n".join([*outcome.schedule, *outcome.findings]))
        return 1 if outcome.findings else 0
    left_out: tuple[str, ...] = ()
    if outcome.findings:
        outcome, left_out = shrunk(outcome, lambda more: _without(seed, [*without, *more]))
    _say(told(outcome, [*without, *left_out]))
    return 1 if outcome.findings else 0


def _many(seeds: range, *, jobs: int) -> int:
    began_s = reported_s = monotonic()
    fired: Counter[str] = Counter()
    played = commits = failures = 0
    for outcome in _played(seeds, jobs):
        played += 1
        commits += outcome.commits_under_faults + outcome.commits_in_calm
        fired.update(outcome.fired)
        if outcome.findings:
            failures += 1
            if failures <= FAILURES_SHOWN_MAX:
                _say(told(*shrunk(outcome, partial(_without, outcome.seed))) + "\n")
        if monotonic() - reported_s > REPORT_INTERVAL_S:
            reported_s = monotonic()
            _say(f"{played} of {len(seeds)} seeds, {failures} failed")
    _say(f"{played} seeds in {monotonic() - began_s:.0f} s, {commits} commits, {failures} failed. Faults:")
    _say("\n".join(f"{fired[kind]:9} {kind}" for kind in KINDS))
    return 1 if failures else 0


def _played(seeds: range, jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(_play, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_play, seeds, chunksize=LOT)


def _play(seed: int) -> Outcome:
    return Run(seed).play()


def _without(seed: int, without: Iterable[str]) -> Outcome:
    return Run(seed, without=tuple(without)).play()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
