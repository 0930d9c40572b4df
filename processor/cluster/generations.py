"""The rule of generations, for every request that carries one."""

from processor.cluster.rejection import Rejected


def stale(stored: int, requested: int) -> Rejected | None:
    """Reject a request that is older than what is stored; 0 on either side compares with nothing."""
    if 0 < requested < stored:
        return Rejected("stale_generation", f"generation {requested} is older than {stored}")
    return None


def repeats(stored: int, requested: int) -> bool:
    """Tell whether the request is the one that is stored already."""
    return stored == requested > 0
