"""Totals of a run, summed from its step reports."""

from typing import Any, Self

import msgspec

from processor.engine.reports import StepReport, outcomes_of


class Totals(msgspec.Struct, frozen=True):
    """Sums over all commits; `high_first` counts the high records that were reduced before waiting normal ones."""

    events: int = 0
    commits: int = 0
    changes: int = 0
    rejected: int = 0
    dead_lettered: int = 0
    high_first: int = 0
    announced: int = 0
    digest: str = ""

    def after(self, report: StepReport) -> Self:
        """Return the sums after one more commit."""
        outcomes = outcomes_of(report.events)
        return msgspec.structs.replace(
            self,
            events=self.events + len(outcomes),
            commits=self.commits + 1,
            changes=self.changes + len(report.changes),
            rejected=self.rejected + outcomes.count("rejected"),
            dead_lettered=self.dead_lettered + outcomes.count("dead_lettered"),
            high_first=self.high_first + report.overtook,
            announced=self.announced + len(report.announcement_types),
            digest=report.digest or self.digest,
        )

    def document(self) -> dict[str, Any]:
        """Return what `-o json` prints."""
        shown = ("events", "commits", "changes", "rejected", "dead_lettered", "high_first", "digest")
        return {name: getattr(self, name) for name in shown}
