"""Probes: is the process alive, and should it get traffic? Pure judgements over the shards' health."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from processor.engine.health import Health

STALLED_AFTER_S = 60.0
"""A loop without a sign of life for so long is dead: a take-over behind a slow broker may take half of it."""
READY_WITHIN_S = 10.0
"""Readiness is a claim about now: the last sign of life must not be older."""

QUIET_PHASES = frozenset({"refused", "stopped"})
"""Phases in which a loop waits for people and gives no signs."""

Verdict = Literal["healthy", "degraded", "down"]


class Probe(msgspec.Struct, frozen=True):
    """The answer of a probe; `reasons` are sentences, empty when all is well."""

    passed: bool
    reasons: tuple[str, ...] = ()


def live(shards: Iterable[Health], now_s: float) -> Probe:
    """Judge whether every loop still moves, and no call of a publisher hangs.

    Waiting for a service that is away is a sign of life: each try of it is one. `now_s` is monotonic, as
    `Health.seen_s` is.
    """
    stalled = tuple(sentence for health in shards for sentence in _stalled(health, now_s))
    return Probe(not stalled, stalled)


def ready(shards: Sequence[Health], now_s: float) -> Probe:
    """Judge whether every shard processes, or stands by for another process that does."""
    if not shards:
        return Probe(passed=False, reasons=("no shard is run here yet",))
    reasons = tuple(sentence for health in shards for sentence in _not_ready(health, now_s))
    return Probe(not reasons, reasons)


def status_of(health: Health, now_s: float) -> Verdict:
    """Judge one shard: the API, the page and `processor status` all say this."""
    if health.phase in {"refused", "stopped"}:
        return "down"
    return "degraded" if _not_ready(health, now_s) else "healthy"


def verdict(shards: Sequence[Health], now_s: float) -> Verdict:
    """Judge the process: as bad as its worst shard."""
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
    """Return how long a loop gave no sign of life: waiting for a service that is away is one."""
    moved_s = max(health.seen_s, health.moved_s)
    return now_s - moved_s if moved_s and health.phase not in QUIET_PHASES else 0.0


def _not_ready(health: Health, now_s: float) -> list[str]:
    if not health.ready:
        return [f"shard {health.shard} is {health.phase}" + (f": {health.why}" if health.why else "")]
    if now_s - health.seen_s > READY_WITHIN_S:
        return [f"shard {health.shard}: last seen {now_s - health.seen_s:.0f} s ago"]
    return []
