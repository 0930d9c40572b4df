"""`python -m tests.reference --seeds 20000`: compare long, print the shortest run that differs."""

import argparse
import sys
import time

from tests.reference.comparison import least_difference
from tests.reference.world import World


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the state generator with the reference on random runs.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many runs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--events", type=int, default=80, help="events a run")
    parser.add_argument("--show", type=int, default=1, help="stop after so many runs that differ")
    options = parser.parse_args()
    shown, began = 0, time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        world = World(seed)
        found = least_difference(world.lines, world.live(options.events), seed)
        if found:
            print(f"seed {seed} {found}\n", flush=True)  # noqa: T201 - a program for people
            shown += 1
        if shown >= options.show:
            break
    print(f"{seed + 1 - options.first} runs, {shown} differ, {time.monotonic() - began:.0f} s")  # noqa: T201 - as above
    return 1 if shown else 0


sys.exit(main())
