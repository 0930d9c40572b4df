"""What a replay found, as one document for machines and as lines for people. No I/O."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from processor.replay.replaying import Replayed
from processor.replay.verifying import FINDINGS_MAX, Finding, Stretch, Verifier


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One replay. `compared` None: nothing was to be compared; `live` and `announcements` tell what else was."""

    cluster: str
    from_seq: int
    start: str
    to_seq: int
    digest: str
    commits: int
    events: int
    seconds: float
    compared: int | None = None
    agrees: bool | None = None
    found: int = 0
    findings: tuple[Finding, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    live: str = ""
    announcements: str = ""

    @property
    def events_per_second(self) -> int:
        """How fast it went."""
        return int(self.events / self.seconds) if self.seconds else 0


def report_of(cluster: str, from_seq: int, replayed: Replayed, *, seconds: float) -> Report:
    """Return the report of a replay."""
    return Report(
        cluster=cluster,
        from_seq=from_seq,
        start=replayed.used,
        to_seq=replayed.seq,
        digest=replayed.head.digest,
        commits=replayed.commits,
        events=replayed.events,
        seconds=round(seconds, 3),
    )


def verified(report: Report, verifier: Verifier, *, live: str, announcements: str) -> Report:
    """Return the report with what was found."""
    return msgspec.structs.replace(
        report,
        compared=verifier.compared,
        agrees=verifier.agrees,
        found=verifier.found,
        findings=tuple(verifier.findings),
        stretches=tuple(verifier.stretches),
        live=live,
        announcements=announcements,
    )


def document_of(report: Report) -> dict[str, Any]:
    """Return plain JSON."""
    document: dict[str, Any] = msgspec.to_builtins(report)
    return document | {"events_per_second": report.events_per_second}


def lines_of(report: Report) -> Iterator[str]:
    """Yield what people read."""
    yield f"{report.cluster}: seq {report.from_seq} to {report.to_seq}, from {report.start}"
    rate = f"{report.events_per_second:,} a second" if report.events else "nothing to fold"
    yield f"{report.commits:,} commits, {report.events:,} events in {report.seconds:.2f} s: {rate}"
    yield f"digest {report.digest}"
    if report.compared is None:
        return
    yield from (_stretch_line(msgspec.to_builtins(stretch)) for stretch in report.stretches)
    if report.live:
        yield f"the store: {report.live}"
    if report.announcements:
        yield f"announcements: {report.announcements}"
    yield from (f"commit {one.seq}: {one.what}: {one.message}" for one in report.findings)
    if report.found > FINDINGS_MAX:
        yield f"and {report.found - FINDINGS_MAX:,} findings more"
    if not report.agrees:
        yield f"{report.found:,} findings"
    else:
        yield "all agrees" if report.compared else "nothing was there to be compared"


def _stretch_line(stretch: Mapping[str, Any]) -> str:
    commits = f"commits {stretch['first']} to {stretch['last']}, made by version {stretch['reducer_version']}"
    how = "compared" if stretch["compared"] else "not compared"
    return f"{commits}: {how}" + (", taken as they were announced" if stretch["way"] == "announced" else "")
