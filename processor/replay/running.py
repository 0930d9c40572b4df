"""One replay of one shard: folded up to a commit, compared with what was recorded and with the store, and reported."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from processor.engine.errors import StoreUnavailable
from processor.etcd.failures import HistoryGoneError
from processor.replay.announced import Announced
from processor.replay.announcing import AnnouncementVerifier
from processor.replay.errors import StoreBehind
from processor.replay.live import compare_with
from processor.replay.replaying import Progress, Replayed, Start, Watch, counting, replay_to
from processor.replay.report import Report, report_of, verified
from processor.replay.standing import standing
from processor.replay.verifying import Finding, Verifier
from processor.replay.wiring import ShardPast
from processor.runtime.garbage import freeze_heap


def replay_shard(past: ShardPast, start: Start, target: int, progress: Progress) -> tuple[Report, Replayed]:
    """Fold from `start` to the commit `target`. Raises as `replay_to`."""
    return _measured(past, start, target, progress, ())


def verify_shard(
    past: ShardPast, start: Start, target: int, progress: Progress, *, first: int = 0, announcements: bool = False
) -> tuple[Report, Replayed]:
    """Fold and compare every commit from `first` on, with `announcements` their bytes, and at the end the store.

    Raises as `replay_to`; what differs is in the report.
    """
    verifier = Verifier(first=first, digest_before=start.head.digest if start.head else None)
    with _announcements(past, verifier, wanted=announcements) as (watches, told):
        report, replayed = _measured(past, start, target, progress, (verifier, *watches))
        live = _compare_with_store(past, replayed, verifier)
        return verified(report, verifier, live=live, announcements=told()), replayed


def _measured(
    past: ShardPast, start: Start, target: int, progress: Progress, watches: tuple[Watch, ...]
) -> tuple[Report, Replayed]:
    freeze_heap()
    began_s = time.monotonic()
    watch = counting(progress, target - start.seq, *watches)
    replayed = replay_to(past.sources, past.build, target, start=start, watch=watch)
    cluster = past.environment.settings.clusters[past.shard]
    return report_of(cluster, start.seq, replayed, seconds=time.monotonic() - began_s), replayed


@contextmanager
def _announcements(
    past: ShardPast, verifier: Verifier, *, wanted: bool
) -> Iterator[tuple[tuple[Watch, ...], Callable[[], str]]]:
    """Give what compares announcements, where that is wanted, and what can be said of it afterwards."""
    if not wanted:
        yield (), lambda: ""
        return
    place = past.sources.topics["changes"], past.shard
    with past.sources.open(*place) as log:
        compared = AnnouncementVerifier(
            past.environment.settings.app,
            past.build.encoder,
            Announced(log, place).of,
            verifier.find,
            trimmed=log.watermarks()[past.shard].low > 0,
        )
        yield (compared,), lambda: f"{compared.compared:,} compared, {compared.gone:,} are gone"


def _compare_with_store(past: ShardPast, replayed: Replayed, verifier: Verifier) -> str:
    """Add what differs between the store and the fold to the findings; return in words what was compared."""
    try:
        with past.environment.store() as client:
            found = standing(client, past.keys, past.build, seq=replayed.seq)
    except (HistoryGoneError, StoreUnavailable) as error:
        return f"not compared: {error}"
    except StoreBehind as error:
        verifier.find(Finding(replayed.seq, "state", str(error)))
        return "it is older"
    for finding in compare_with(found.live, replayed, past.build.machine):
        verifier.find(finding)
    return f"compared at seq {found.head.seq}"
