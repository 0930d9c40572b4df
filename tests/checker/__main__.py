"""Judge what runs have left behind: `python -m tests.checker DIRECTORY`. Exit 1: violations; 2: nothing to judge."""

import sys
from pathlib import Path

from tests.checker.dumping import files, read
from tests.checker.reference import cluster_reference
from tests.checker.verdict import findings, told

USAGE = 2


def main(directory: Path) -> int:
    """Judge every shard found there."""
    reference, judged, violated = cluster_reference(), 0, 0
    for path in files(directory):
        artefacts, watched = read(path, reference.schemas)
        found = findings(artefacts, reference, watched)
        judged, violated = judged + 1, violated + bool(found)
        facts = f"{len(artefacts.acknowledged)} events, {len(artefacts.commits)} commits"
        verdict = "violated" if found else "whole"
        sys.stdout.write("\n".join([f"{path}: {facts}: {verdict}", *(f"  {line}" for line in told(found))]) + "\n")
    if not judged:
        sys.stderr.write(f"no artefacts under {directory}\n")
        return USAGE
    return 1 if violated else 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.checker DIRECTORY\n")
        sys.exit(USAGE)
    sys.exit(main(Path(arguments[0])))
