"""Where the shard stands: what the next batch is reduced on."""

from typing import Any

import msgspec

from processor.engine.images import Encoded
from processor.engine.reports import Reduced
from processor.engine.values import OutcomeRun, Positions, Range


class Carried(msgspec.Struct, frozen=True):
    """Records that changed nothing: their ranges go before those of the next commit."""

    ranges: tuple[Range, ...] = ()
    outcomes: tuple[OutcomeRun, ...] = ()
    reduced: tuple[Reduced, ...] = ()
    since_s: float = 0.0


class Tip(msgspec.Struct, frozen=True):
    """The newest state, committed or sent; `encoded` is the batch that is sent and not known to be committed."""

    state: Any
    positions: Positions
    carried: Carried = Carried()
    encoded: Encoded | None = None
