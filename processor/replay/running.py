"""One replay of one shard with its report: folded to a commit, compared with what was recorded and with the store."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from processor.engine.errors import StoreUnavailable
from processor.etcd.failures import HistoryGoneError
from processor.replay.announcements import AnnouncementVerifier
from processor.replay.recording import AnnouncementLog
from processor.replay.replaying import Progress, Replayed, Start, Watch, counting, replay_to
from processor.replay.verifying import FINDINGS_MAX, Finding, Stretch, Verifier, compare_with_store
from processor.replay.wiring import ShardPast
from processor.runtime.garbage import freeze_heap


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One replay; the fields are those of `replay -o json`. `compared`: how many commits were compared, None without.

    `live` and `announcements` say in words what else was compared.
    """

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
        """The rate of folding."""
        return int(self.events / self.seconds) if self.seconds else 0


def replay_shard(past: ShardPast, start: Start, target: int, progress: Progress) -> tuple[Report, Replayed]:
    """Fold from `start` to the commit `target`. Raises as `replay_to`."""
    return _measured(past, start, target, progress, ())


def verify_shard(
    past: ShardPast, start: Start, target: int, progress: Progress, *, first: int = 0, announcements: bool = False
) -> tuple[Report, Replayed]:
    """Fold, and compare each commit from `first` on and the store at the end, with `announcements` their bytes as well.

    What differs is in the report. Raises as `replay_to`.
    """
    verifier = Verifier(first=first, digest_before=start.head.digest if start.head else None)
    with _announcements(past, verifier, wanted=announcements) as (watches, told):
        report, replayed = _measured(past, start, target, progress, (verifier, *watches))
        live = _compare_with_store(past, replayed, verifier)
        return with_findings(report, verifier, live=live, announcements=told()), replayed


def _measured(
    past: ShardPast, start: Start, target: int, progress: Progress, watches: tuple[Watch, ...]
) -> tuple[Report, Replayed]:
    freeze_heap()
    began_s = time.monotonic()
    watch = counting(progress, target - start.seq, *watches)
    replayed = replay_to(past.sources, past.build, target, start=start, watch=watch)
    cluster = past.environment.settings.clusters[past.shard]
    return report_of(cluster, start.seq, replayed, seconds=time.monotonic() - began_s), replayed


def report_of(cluster: str, from_seq: int, replayed: Replayed, *, seconds: float) -> Report:
    """Return the report of a replay with nothing compared."""
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


def with_findings(report: Report, verifier: Verifier, *, live: str, announcements: str) -> Report:
    """Return the report with what was compared and found."""
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


@contextmanager
def _announcements(
    past: ShardPast, verifier: Verifier, *, wanted: bool
) -> Iterator[tuple[tuple[Watch, ...], Callable[[], str]]]:
    """Yield the watchers that compare announcements, none unless wanted, and a function that words their result."""
    if not wanted:
        yield (), lambda: ""
        return
    place = past.sources.topics["changes"], past.shard
    with past.sources.open(*place) as log:
        compared = AnnouncementVerifier(
            past.environment.settings.app,
            past.build.encoder,
            AnnouncementLog(log, place).of,
            verifier.find,
            trimmed=log.watermarks()[past.shard].low > 0,
        )
        yield (compared,), lambda: f"{compared.compared:,} compared, {compared.gone:,} are gone"


def _compare_with_store(past: ShardPast, replayed: Replayed, verifier: Verifier) -> str:
    """Add what differs between the store and the fold to the findings; return in words what was compared."""
    seq = replayed.seq
    try:
        with past.environment.store() as client:
            states = past.states_in(client)
            found = states.of_commit(seq)
            if found is None:
                behind = f"the store's head has seq {states.last_seq()}, the commit log goes on to {seq}"
                verifier.find(Finding(seq, "state", behind))
                return "it is older"
    except (HistoryGoneError, StoreUnavailable) as error:
        return f"not compared: {error}"
    for finding in compare_with_store(found, replayed, past.build.machine):
        verifier.find(finding)
    return f"compared at seq {seq}"


def document_of(report: Report) -> dict[str, Any]:
    """Return the report as plain JSON."""
    document: dict[str, Any] = msgspec.to_builtins(report)
    return document | {"events_per_second": report.events_per_second}


def lines_of(report: Report) -> Iterator[str]:
    """Yield the report as lines for people."""
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
