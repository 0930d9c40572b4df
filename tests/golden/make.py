"""Keeps what this release makes of a story: `python -m tests.golden.make` writes tests/golden/<version of the project>.

Run it when a version is released. What is there already stays as it is: it is what that release left behind.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from processor.cluster.machine import ClusterMachine
from tests.cluster.scenarios import events_of, line_of
from tests.golden.fold import digests
from tests.golden.world import Golden, GoldenWorld

DIRECTORY = Path(__file__).parent
SEED = 3
EVENTS = 300
ROUND_EVENTS = 60


def story() -> Golden:
    """Tell a processor a story, restarting it now and then, and stop it before its last commit is published."""
    lines = [json.loads(line_of(event)) for event in events_of(SEED, EVENTS)]
    world = GoldenWorld()
    for start in range(0, EVENTS, ROUND_EVENTS):
        world.tell(lines[start : start + ROUND_EVENTS])
        world.run_release()
    return Golden(tuple(lines), tuple(digests(lines, batch_events=1)), world.dump())


def main() -> None:
    """Write the directory of this release."""
    directory = DIRECTORY / version("processor")
    if directory.exists():
        sys.exit(f"{directory} is there already: a release is kept as it was")
    golden = story()
    kinds = {key.split("/")[1] for key in golden.dump if key.startswith("state/")}
    if kinds != set(ClusterMachine.entity_types):
        sys.exit(f"the story ends with entities of the kinds {sorted(kinds)} only: tell another one")
    golden.write(directory)
    sys.stdout.write(f"{directory} is written\n")


if __name__ == "__main__":
    main()
