"""Liveness, readiness and status: pure functions of the shards' health."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from processor.engine.health import Health

STALLED_AFTER_S = 60.0
"""A shard loop without progress for this long counts as dead; a take-over behind a slow broker may take half of it."""
READY_WITHIN_S = 10.0
"""Maximum age of the last progress of a shard that counts as ready."""

QUIET_PHASES = frozenset({"refused", "stopped"})
"""Phases in which a shard loop waits for an operator and makes no progress."""

Verdict = Literal["healthy", "degraded", "down"]


class Probe(msgspec.Struct, frozen=True):
    """The result of a probe; `reasons` are sentences, empty if it passed."""

    passed: bool
    reasons: tuple[str, ...] = ()


def live(shards: Iterable[Health], now_s: float) -> Probe:
    """Check that every shard loop makes progress and no call of a publisher hangs.

    Each retry of an unavailable service is progress. `now_s` is monotonic, like `Health.seen_s`.
    """
    stalled = tuple(sentence for health in shards for sentence in _stalled(health, now_s))
    return Probe(not stalled, stalled)


def ready(shards: Sequence[Health], now_s: float) -> Probe:
    """Check that every shard processes here, or stands by for another process that does."""
    if not shards:
        return Probe(passed=False, reasons=("no shard is run here yet",))
    reasons = tuple(sentence for health in shards for sentence in _not_ready(health, now_s))
    return Probe(not reasons, reasons)


def status_of(health: Health, now_s: float) -> Verdict:
    """Return the status of one shard, as the API and `processor status` report it."""
    if health.phase in {"refused", "stopped"}:
        return "down"
    return "degraded" if _not_ready(health, now_s) else "healthy"


def verdict(shards: Sequence[Health], now_s: float) -> Verdict:
    """Return the status of the process: that of its worst shard."""
    judged = {status_of(health, now_s) for health in shards}
    if not judged or "down" in judged:
        return "down"
    return "degraded" if "degraded" in judged else "healthy"


def _stalled(health: Health, now_s: float) -> Iterator[str]:
    silent_s = _silent_s(health, now_s)
    if silent_s > STALLED_AFTER_S:
        yield f"shard {health.shard}: no sign of life for {silent_s:.0f} s"
    calling_s = now_s - health.publishing_since_s if health.publishing_since_s else 0.0
    if calling_s > STALLED_AFTER_S:
        yield f"shard {health.shard}: one call for the output takes {calling_s:.0f} s"


def _silent_s(health: Health, now_s: float) -> float:
    """Return the seconds since the last progress, 0 in phases that make none."""
    moved_s = max(health.seen_s, health.moved_s)
    return now_s - moved_s if moved_s and health.phase not in QUIET_PHASES else 0.0


def _not_ready(health: Health, now_s: float) -> list[str]:
    if not health.ready:
        return [f"shard {health.shard} is {health.phase}" + (f": {health.why}" if health.why else "")]
    if now_s - health.seen_s > READY_WITHIN_S:
        return [f"shard {health.shard}: last seen {now_s - health.seen_s:.0f} s ago"]
    return []
