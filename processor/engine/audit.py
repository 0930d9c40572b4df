"""What the commands of operators leave behind for people, beside the state that they touched."""

from typing import Any

import msgspec


class AuditEntry(msgspec.Struct, frozen=True):
    """One entry of a shard's audit log, written in the transaction of what it tells.

    `at_ms` is its place in the log, `action` the command, `by` who gave it, `seq` the head's afterwards; `facts` are
    plain JSON.
    """

    at_ms: int
    action: str
    by: str
    seq: int
    facts: dict[str, Any]
