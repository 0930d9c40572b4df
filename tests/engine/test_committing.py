import msgspec
import pytest

from processor.engine.committing import check_conflict
from processor.engine.errors import OwnershipLost, ShardRefused
from processor.engine.values import Conflict, Head

HEAD = Head(seq=5, epoch=3, commit_id="x", committed_ms=0, positions={}, topics={}, digest="", reducer_version=1)


def test_a_head_changed_by_somebody_while_we_own_is_a_reload() -> None:
    check_conflict(Conflict(HEAD, 90, 3), epoch=3, committed_seq=5)


@pytest.mark.parametrize("owner_epoch", [0, 4])
def test_another_owner_or_none_ends_ownership_whatever_the_head_says(owner_epoch: int) -> None:
    with pytest.raises(OwnershipLost):
        check_conflict(Conflict(None, 0, owner_epoch), epoch=3, committed_seq=5)


@pytest.mark.parametrize("head", [msgspec.structs.replace(HEAD, seq=4), None])
def test_a_head_below_what_was_committed_is_refused(head: Head | None) -> None:
    with pytest.raises(ShardRefused, match="back in time"):
        check_conflict(Conflict(head, 90, 3), epoch=3, committed_seq=5)
