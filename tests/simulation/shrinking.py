"""A failing seed with as few kinds of faults as it takes."""

from collections.abc import Callable, Collection

from tests.simulation.run import Outcome

SCHEDULE_LINES_MAX = 120
SCHEDULE_BEGIN_LINES = 20

Play = Callable[[Collection[str]], Outcome]
"""Plays the seed without these kinds of faults."""


def shrunk(failed: Outcome, play: Play) -> tuple[Outcome, tuple[str, ...]]:
    """Return what fails with the fewest kinds, and which kinds were left out."""
    without: list[str] = []
    for kind in failed.kinds:
        outcome = play([*without, kind])
        if outcome.findings:
            failed = outcome
            without.append(kind)
    return failed, tuple(without)


def told(outcome: Outcome, without: Collection[str]) -> str:
    """Return what went wrong, how to see it again, and the schedule that led to it."""
    lines = list(outcome.schedule)
    if len(lines) > SCHEDULE_LINES_MAX:
        left_out = len(lines) - SCHEDULE_LINES_MAX
        end = lines[SCHEDULE_BEGIN_LINES + left_out :]
        lines = [*lines[:SCHEDULE_BEGIN_LINES], f"… {left_out} lines left out: --schedule shows them", *end]
    options = "".join(f" --without {kind!r}" for kind in without)
    return "\n".join(
        [
            f"seed {outcome.seed}: " + "; ".join(outcome.findings),
            f"again: python -m tests.simulation --seed {outcome.seed}{options}",
            f"with: {', '.join(outcome.kinds) or 'no faults'}",
            *lines,
        ]
    )
