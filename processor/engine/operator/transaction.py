"""What the commands of operators share: they own the shard under an epoch of their own, for one guarded transaction.

They publish nothing of what they commit: the next owner does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from processor.engine.errors import NeverRun, OutcomeUnknown, OwnershipLost
from processor.engine.parts import Parts
from processor.engine.ports import InFlight
from processor.engine.recovery import check_versions
from processor.engine.values import Committed, Conflict, Head, Snapshot

RESENDS_MAX = 5


@contextmanager
def owned(parts: Parts) -> Iterator[int]:
    """Own the shard under a new epoch while the body runs. Raises OwnershipLost (owned elsewhere), StoreUnavailable."""
    epoch = parts.ownership.campaign()
    if epoch is None:
        raise OwnershipLost(
            f"shard {parts.identity.shard} is owned: stop its processors first; processor shards list tells who owns it"
        )
    try:
        yield epoch
    finally:
        parts.ownership.release(epoch, clean=False)


def known_head(parts: Parts, snapshot: Snapshot) -> Head:
    """Return the head. Raises ShardRefused: there is none yet, or a newer build wrote it."""
    if snapshot.head is None:
        raise NeverRun
    check_versions(snapshot.head, reducer_version=parts.machine.version)
    return snapshot.head


def settled(parts: Parts, in_flight: InFlight) -> None:
    """Wait until the transaction is committed; without an answer the identical one is sent again, a few times.

    Raises OwnershipLost (the head moved, or the shard is not ours any more), OutcomeUnknown.
    """
    if isinstance(_answer(parts, in_flight), Conflict):
        raise OwnershipLost("somebody else wrote the head meanwhile: look again")


def _answer(parts: Parts, in_flight: InFlight) -> Committed | Conflict:
    for _ in range(RESENDS_MAX):
        try:
            return in_flight.result()
        except OutcomeUnknown:
            parts.clock.sleep(parts.limits.retry_pause_ms / 1000)
            in_flight.again()
    return in_flight.result()
