"""Where the shard stands: what the next batch is reduced on."""

from typing import Any

import msgspec

from processor.engine.announcements import OutcomeRun
from processor.engine.compose import UnstampedCommit
from processor.engine.images import Encoded, Images
from processor.engine.inputs import Positions, Range
from processor.engine.reports import Reduced
from processor.engine.sizes import UNLIMITED, SizeLimits

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

    def carrying(self, draft: UnstampedCommit, reduced: Reduced, *, now_s: float) -> "Tip":
        """Return the tip with a batch that changed nothing carried to the next commit."""
        carried = Carried(
            ranges=draft.ranges,
            outcomes=draft.outcomes,
            reduced=(*self.carried.reduced, reduced),
            since_s=self.carried.since_s if self.carried.ranges else now_s,
            sizes=draft.sizes,
        )
        return msgspec.structs.replace(self, positions=draft.positions, carried=carried)

    def carried_draft(self, images: Images) -> UnstampedCommit:
        """Return a commit of what is carried alone."""
        return UnstampedCommit(
            after=self.state,
            encoded=images.encode(()),
            ranges=self.carried.ranges,
            outcomes=self.carried.outcomes,
            positions=self.positions,
            sizes=self.carried.sizes,
        )
