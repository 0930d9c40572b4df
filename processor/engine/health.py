"""What a shard is doing, for probes and status: written by its loop, read from any thread."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

Phase = Literal["starting", "standby", "owner", "refused", "stopped"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """One shard at one moment, published whole: what is read from one value belongs together. Times are monotonic.

    `state` is the committed state that `seq`, `digest`, `committed_ms` and the head's `revision` belong to; None, with
    the seq of no commit, while the shard is not owned here. `reason` says why it is not processing, `troubles` what is
    away while it goes on: the inputs, the output.
    `publishing_since_s`: when a slow call to the output began, 0 while there is none.
    `seen_s`: when head and owner were last verified. `moved_s`: when a pausing loop last tried again.
    """

    shard: int
    phase: Phase = "starting"
    reason: str = ""
    troubles: tuple[str, ...] = ()
    epoch: int = 0
    seq: int = -1
    committed_ms: int = 0
    outbox_commits: int = 0
    fencings: int = 0
    """How often another producer of our name fenced the owner since it took the shard."""
    digest: str = ""
    revision: int = 0
    state: Any = None
    seen_s: float = 0.0
    moved_s: float = 0.0
    publishing_since_s: float = 0.0

    @property
    def why(self) -> str:
        """Everything that is wrong, empty when all is well."""
        return "; ".join(filter(None, (self.reason, *self.troubles)))

    @property
    def ready(self) -> bool:
        """It owns the shard and processes, or stands by for another that does."""
        return self.phase in {"owner", "standby"} and not self.why


NOT_OWNED: Mapping[str, Any] = {
    "epoch": 0,
    "seq": -1,
    "committed_ms": 0,
    "outbox_commits": 0,
    "digest": "",
    "revision": 0,
    "state": None,
    "publishing_since_s": 0.0,
}
"""What is known of a shard's commits in a process that does not own it: nothing."""


class ShardStatus:
    """Holds the latest health of one shard; a reader takes `health` once and sees a whole value, never a mixed one.

    `log` is called once when a pause begins and once when it ends, however often the wording of its reason changes.
    """

    def __init__(self, shard: int, log: Callable[..., None] = lambda _event, **_fields: None) -> None:
        self.health = Health(shard=shard)
        self.log = log

    def update(self, **changes: object) -> None:
        """Publish a new value with these fields replaced, in one assignment; for the shard's own thread."""
        before, self.health = self.health, msgspec.structs.replace(self.health, **changes)
        if "refused" not in {before.phase, self.health.phase}:
            self._tell("paused", "resumed", before.reason, self.health.reason)
        if before.phase == self.health.phase:
            self._tell("service_away", "service_back", "; ".join(before.troubles), "; ".join(self.health.troubles))

    def _tell(self, began: str, ended: str, before: str, after: str) -> None:
        if after and not before:
            self.log(began, shard=self.health.shard, reason=after)
        elif before and not after:
            self.log(ended, shard=self.health.shard)
