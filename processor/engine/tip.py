"""Where the shard stands: what the next batch is reduced on."""

from typing import Any

import msgspec

from processor.engine.images import Encoded
from processor.engine.reports import Reduced
from processor.engine.sizes import UNLIMITED, SizeLimits
from processor.engine.values import OutcomeRun, Positions, Range

OUTCOMES_PER_RANGE = 4
"""So many runs of outcomes weigh as much in a commit record as one range."""


class Carried(msgspec.Struct, frozen=True):
    """Records that changed nothing: their ranges go before those of the next commit, with the limits they met."""

    ranges: tuple[Range, ...] = ()
    outcomes: tuple[OutcomeRun, ...] = ()
    reduced: tuple[Reduced, ...] = ()
    since_s: float = 0.0
    sizes: SizeLimits = UNLIMITED

    @property
    def weight(self) -> int:
        """How much it adds to a commit record, in ranges."""
        return max(len(self.ranges), len(self.outcomes) // OUTCOMES_PER_RANGE)


class Tip(msgspec.Struct, frozen=True):
    """The newest state, committed or sent; `encoded` is the batch that is sent and not known to be committed."""

    state: Any
    positions: Positions
    carried: Carried = Carried()
    encoded: Encoded | None = None
