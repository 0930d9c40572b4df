"""Rejections, and the checks that several kinds of requests and reports share."""

from msgspec import Struct


class Rejected(Struct, frozen=True, gc=False):
    """Why an event changed nothing: `code` is for machines, `message` is free text for people."""

    code: str
    message: str


def unknown_target(kind: str, name: str) -> Rejected:
    """Reject an event about an entity that does not exist."""
    return Rejected("unknown_target", f"there is no {kind} {name}")


def stale_generation(stored: int, requested: int) -> Rejected | None:
    """Reject a request that is older than the stored one; a generation of 0, on either side, is not compared."""
    if 0 < requested < stored:
        return Rejected("stale_generation", f"generation {requested} is older than {stored}")
    return None


def is_repeat(stored: int, requested: int) -> bool:
    """Tell whether a request has the stored generation, and so is the stored request once more."""
    return stored == requested > 0


def other_revision(current: int, reported: int) -> Rejected | None:
    """Reject a router's report about another revision of the routes than the current one."""
    if reported < current:
        return Rejected("stale_report", f"the routes are at revision {current}")
    if reported > current:
        return Rejected("unexpected_report", f"the routes are only at revision {current}")
    return None
