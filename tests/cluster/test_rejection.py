import pytest

from processor.cluster.rejection import is_repeat, other_revision, stale_generation


@pytest.mark.parametrize(
    ("stored", "requested", "stale", "repeat"),
    [
        (0, 0, False, False),
        (0, 3, False, False),
        (3, 0, False, False),
        (3, 3, False, True),
        (3, 2, True, False),
        (2, 3, False, False),
    ],
)
def test_only_what_counts_is_compared(stored: int, requested: int, stale: bool, repeat: bool) -> None:  # noqa: FBT001 - a row of the table
    assert (stale_generation(stored, requested) is not None) == stale
    assert is_repeat(stored, requested) == repeat


def test_only_a_report_about_the_current_revision_counts() -> None:
    codes = [rejected.code if (rejected := other_revision(2, revision)) else "" for revision in (1, 2, 3)]
    assert codes == ["stale_report", "", "unexpected_report"]
