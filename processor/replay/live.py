"""The state as folded beside the one that the store has. No I/O."""

from collections.abc import Iterator
from typing import Any

import msgspec

from processor.engine.inputs import Positions
from processor.engine.machine import StateMachine
from processor.replay.replaying import Replayed
from processor.replay.verifying import Finding

NAMED_MAX = 20


class Live(msgspec.Struct, frozen=True):
    """What the store has at the revision where its head has the seq that was folded."""

    seq: int
    state: Any
    digest: str
    head_digest: str
    positions: Positions
    announcements: int


def compare_with(live: Live, replayed: Replayed, machine: StateMachine[Any, Any]) -> Iterator[Finding]:
    """Yield what differs between the store and the fold, at most NAMED_MAX entities by name."""
    seq, head = live.seq, replayed.head
    if live.digest != live.head_digest:
        yield Finding(seq, "state", f"the store's state has digest {live.digest}, its head says {live.head_digest}")
    if live.digest != head.digest:
        yield Finding(seq, "state", f"the store's state has digest {live.digest}, the folded one {head.digest}")
    differing = machine.diff(machine.begin(replayed.state), live.state)
    for change in differing[:NAMED_MAX]:
        how = {"create": "is not in the fold", "delete": "is not in the store"}.get(change.op, "differs from the fold")
        yield Finding(seq, "state", f"{change.key} {how}")
    if len(differing) > NAMED_MAX:
        yield Finding(seq, "state", f"and {len(differing) - NAMED_MAX} entities more")
    for topic, partitions in head.positions.items():
        for partition, position in partitions.items():
            stands = live.positions.get(topic, {}).get(partition)
            if stands != position:
                place = f"{topic}[{partition}]"
                yield Finding(seq, "state", f"the store's position in {place} is {stands}, the commit log's {position}")
    if live.announcements != head.announcements:
        yield Finding(
            seq, "state", f"the store's next number is {live.announcements}, the commit log's {head.announcements}"
        )
