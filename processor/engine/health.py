"""What a shard is doing, for probes and status: written by its loop, read from any thread."""

from typing import Any, Literal

import msgspec

Phase = Literal["starting", "standby", "owner", "refused", "stopped"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """One shard at one moment. `reason` says why it is not processing; `seen_s` is monotonic, the last sign of life."""

    shard: int
    phase: Phase = "starting"
    reason: str = ""
    epoch: int = 0
    seq: int = -1
    committed_ms: int = 0
    outbox_commits: int = 0
    digest: str = ""
    seen_s: float = 0.0

    @property
    def ready(self) -> bool:
        """It owns the shard and processes, or stands by for another that does."""
        return self.phase in {"owner", "standby"} and not self.reason


class Board:
    """Holds the latest health of one shard; a reader sees a whole value, never a half-written one."""

    def __init__(self, shard: int) -> None:
        self.health = Health(shard=shard)
        self.state: Any = None
        """The committed state of the shard, while it is owned here; immutable, so any thread may look at it."""

    def put(self, **changes: object) -> None:
        """Replace fields."""
        self.health = msgspec.structs.replace(self.health, **changes)
