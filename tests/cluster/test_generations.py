import pytest

from processor.cluster.generations import repeats, stale


@pytest.mark.parametrize(
    ("stored", "requested", "is_stale", "is_repeat"),
    [
        (0, 0, False, False),
        (0, 3, False, False),
        (3, 0, False, False),
        (3, 3, False, True),
        (3, 2, True, False),
        (2, 3, False, False),
    ],
)
def test_only_what_counts_is_compared(stored: int, requested: int, is_stale: bool, is_repeat: bool) -> None:  # noqa: FBT001 - a row of the table
    assert (stale(stored, requested) is not None) == is_stale
    assert repeats(stored, requested) == is_repeat
