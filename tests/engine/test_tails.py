import msgspec
import pytest

from processor.engine.announcements import (
    CHANGES,
    COMMITS,
    DEAD_LETTERS,
    Announcement,
    DeadLetter,
    OutboxEntry,
    Role,
    StoredEntry,
    Tail,
)
from processor.engine.errors import ShardRefused
from processor.engine.tails import Reached, acknowledged, reached_by, remaining
from processor.engine.values import Identity

IDENTITY = Identity("app", 0, "cluster", 1)
NEVER = Tail(seq=None)
EMPTIED = Tail(seq=None, emptied=True)


def entry(seq: int, *, announcements: int = 2, dead_letters: int = 0) -> StoredEntry:
    made = OutboxEntry(
        seq=seq,
        epoch=1,
        committed_ms=0,
        first_number=10 * seq,
        announcements=tuple(Announcement(f"kind/{index}", "T", b"x") for index in range(announcements)),
        dead_letters=tuple(DeadLetter(None, b"y", ()) for _ in range(dead_letters)),
        commit_record=b"log",
    )
    return StoredEntry(made, 100 + seq)


def tails(changes: Tail, commits: Tail, dead_letters: Tail = NEVER, *, epoch: int = 1) -> dict[Role, Tail]:
    found = {CHANGES: changes, COMMITS: commits, DEAD_LETTERS: dead_letters}
    return {role: msgspec.structs.replace(tail, epoch=epoch) for role, tail in found.items()}


def roles(stored: StoredEntry, reached: Reached) -> list[str]:
    return [record.role for record in remaining(stored, reached, IDENTITY)]


def test_a_seq_is_resumed_after_its_last_published_index() -> None:
    reached = reached_by(tails(Tail(4, index=0, count=2), Tail(3)), head_seq=5, announced_seq=2, outbox=())
    assert roles(entry(4), reached) == [CHANGES, COMMITS]
    assert roles(entry(3), reached) == []
    assert roles(entry(5, dead_letters=1), reached) == [CHANGES, CHANGES, DEAD_LETTERS, COMMITS]


def test_partitions_that_stopped_at_different_records_are_resumed_each_at_its_own() -> None:
    reached = reached_by(tails(Tail(3, index=1, count=2), Tail(4)), head_seq=5, announced_seq=2, outbox=())
    assert roles(entry(4), reached) == [CHANGES, CHANGES]


def test_a_seq_is_acknowledged_only_with_all_of_its_records() -> None:
    outbox = (entry(3), entry(4), entry(5))
    whole = reached_by(tails(Tail(4, index=1, count=2), Tail(4)), head_seq=5, announced_seq=2, outbox=outbox)
    assert acknowledged(outbox, whole, IDENTITY, announced_seq=2) == 4
    partial = reached_by(tails(Tail(4, index=0, count=2), Tail(4)), head_seq=5, announced_seq=2, outbox=outbox)
    assert acknowledged(outbox, partial, IDENTITY, announced_seq=2) == 3
    behind = (entry(3, dead_letters=1), entry(4))
    assert acknowledged(behind, whole, IDENTITY, announced_seq=2) == 2, "what follows proves nothing for it"


def test_what_stands_under_our_seq_and_has_another_epoch_is_another_deployments() -> None:
    published = tails(Tail(4, index=1, count=2), Tail(4), epoch=9)
    reached_by(published, head_seq=5, announced_seq=4, outbox=(entry(5),))
    with pytest.raises(ShardRefused, match=r"seq 4 of epoch 9, .* has epoch 1: another deployment"):
        reached_by(published, head_seq=5, announced_seq=2, outbox=(entry(3), entry(4), entry(5)))


def test_a_partition_emptied_by_retention_takes_what_comes_after_the_commit_log() -> None:
    outbox = (entry(2), entry(3, announcements=0), entry(4, announcements=0), entry(5))
    reached = reached_by(tails(EMPTIED, Tail(4)), head_seq=5, announced_seq=2, outbox=outbox)
    assert roles(outbox[2], reached) == []
    assert roles(outbox[3], reached) == [CHANGES, CHANGES, COMMITS]
    assert acknowledged(outbox, reached, IDENTITY, announced_seq=2) == 4


def test_the_commit_log_proves_nothing_for_a_partition_that_was_emptied() -> None:
    """A transaction that was committed before all of it had arrived leaves its commit-log record alone."""
    outbox = (entry(3), entry(4), entry(5))
    with pytest.raises(ShardRefused, match="changes partition was emptied, and commits 3 to 4 wait"):
        reached_by(tails(EMPTIED, Tail(4)), head_seq=5, announced_seq=2, outbox=outbox)
    letters = (entry(4, dead_letters=1),)
    with pytest.raises(ShardRefused, match="dead-letters partition was emptied, and commit 4 waits"):
        reached_by(tails(Tail(4, index=1), Tail(4), EMPTIED), head_seq=5, announced_seq=2, outbox=letters)


def test_a_partition_never_written_is_resumed_at_its_first_record() -> None:
    reached = reached_by(tails(NEVER, Tail(4)), head_seq=5, announced_seq=2, outbox=())
    assert roles(entry(4), reached) == [CHANGES, CHANGES]


def test_an_emptied_commit_log_is_replaced_by_the_head_if_nothing_waits() -> None:
    reached = reached_by(tails(EMPTIED, EMPTIED), head_seq=5, announced_seq=5, outbox=(entry(5),))
    assert roles(entry(5), reached) == []


def test_an_emptied_commit_log_with_waiting_commits_is_refused() -> None:
    with pytest.raises(ShardRefused, match="nothing tells what was published"):
        reached_by(tails(EMPTIED, EMPTIED), head_seq=5, announced_seq=4, outbox=(entry(5),))


@pytest.mark.parametrize("head_seq", [4, -1])
def test_a_tail_ahead_of_the_head_is_refused(head_seq: int) -> None:
    with pytest.raises(ShardRefused, match="restored from an older backup"):
        reached_by(tails(Tail(5), Tail(4)), head_seq=head_seq, announced_seq=0, outbox=())


def test_headers_tell_place_number_and_revision() -> None:
    first, _second, log = remaining(entry(4), Reached(), IDENTITY)
    headers = dict(first.headers)
    assert headers["processor-number"] == b"40"
    assert headers["ce_id"] == b"0-4-0"
    assert headers["processor-revision"] == b"104"
    assert dict(log.headers)["ce_id"] == b"0-4"
    assert log.key == b"4"
