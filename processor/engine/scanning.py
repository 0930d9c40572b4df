"""Read on to the ends of the inputs before a shard is handed over: what follows the last record may be no record."""

from processor.engine.errors import Retry, ShardRefused
from processor.engine.ports import Clock, Source
from processor.engine.values import HIGH, NORMAL

SCAN_MAX_S = 1.0
"""An answer that brings no record takes the brokers half a second."""
POLL_MS = 5


def scan_to_end(source: Source, clock: Clock) -> bool:
    """Return whether the ends were reached and no record follows those taken; False after `SCAN_MAX_S`.

    What `take` returns here is dropped: nothing may be taken of this assignment afterwards.
    """
    deadline_s = clock.monotonic_s() + SCAN_MAX_S
    try:
        while not source.at_end():
            if source.take(HIGH, 1) or source.take(NORMAL, 1) or clock.monotonic_s() > deadline_s:
                return False
            source.wait(POLL_MS)
    except (Retry, ShardRefused):
        return False
    return True
