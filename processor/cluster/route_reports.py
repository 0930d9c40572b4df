"""The guard of what the router reports about routes, those of models and those of experiments."""

from processor.cluster.rejection import Rejected


def route_refusal(current: int, reported: int) -> Rejected | None:
    """Reject a report about another revision than the current one."""
    if reported < current:
        return Rejected("stale_report", f"the routes are at revision {current}")
    if reported > current:
        return Rejected("unexpected_report", f"the routes are only at revision {current}")
    return None
