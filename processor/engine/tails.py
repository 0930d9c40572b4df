"""Where publishing resumes: the three output partitions may have stopped at different records. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from processor.engine.compose import Identity
from processor.engine.errors import ShardRefused
from processor.engine.outputs import change_records, commit_record, dead_letter_records
from processor.engine.values import CHANGES, COMMITS, DEAD_LETTERS, OutputRecord, Role, StoredEntry, Tail

NOTHING = (-1, -1)


class Reached(msgspec.Struct, frozen=True):
    """(seq, index) of the last record of each output partition; a record at or below it is there already."""

    changes: tuple[int, int] = NOTHING
    commits: tuple[int, int] = NOTHING
    dead_letters: tuple[int, int] = NOTHING


def reached_by(
    tails: Mapping[Role, Tail], *, head_seq: int, announced_seq: int, outbox: Sequence[StoredEntry]
) -> Reached:
    """Return what is published; `head_seq` is −1 when there is no head.

    A partition emptied by retention is taken to stand where the commit log does; a commit log emptied too stands
    at `announced_seq`, if nothing above it waits in the outbox. Raises ShardRefused when a tail is ahead of
    the head (the store was restored from an older backup), or nothing tells what was published.
    """
    for role, tail in sorted(tails.items()):
        if tail.seq is not None and tail.seq > head_seq:
            raise ShardRefused(
                f"the output's {role} partition holds seq {tail.seq}, the store's head is at seq {head_seq}: "
                "the store was restored from an older backup, or the topic belongs to another state"
            )
    log = _commit_log(tails[COMMITS], head_seq=head_seq, announced_seq=announced_seq, outbox=outbox)
    return Reached(
        changes=_position(tails[CHANGES], log),
        commits=(log, 0) if log >= 0 else NOTHING,
        dead_letters=_position(tails[DEAD_LETTERS], log),
    )


def remaining(stored: StoredEntry, reached: Reached, identity: Identity) -> list[OutputRecord]:
    """Return what of this entry is not published yet: announcements, dead letters, commit-log record."""
    seq = stored.entry.seq
    records = change_records(stored, identity, start=_start(seq, reached.changes))
    records += dead_letter_records(stored, start=_start(seq, reached.dead_letters))
    if reached.commits[0] < seq:
        records.append(commit_record(stored, identity))
    return records


def acknowledged(outbox: Sequence[StoredEntry], reached: Reached, identity: Identity, *, announced_seq: int) -> int:
    """Return the highest seq up to which everything is published."""
    for stored in outbox:
        if stored.entry.seq <= announced_seq:
            continue
        if remaining(stored, reached, identity):
            break
        announced_seq = stored.entry.seq
    return announced_seq


def _commit_log(tail: Tail, *, head_seq: int, announced_seq: int, outbox: Sequence[StoredEntry]) -> int:
    if tail.seq is not None:
        return tail.seq
    if not tail.emptied or head_seq < 0:
        return -1
    if any(stored.entry.seq > announced_seq for stored in outbox):
        raise ShardRefused(
            f"the commit log was emptied and commits above seq {announced_seq} wait in the outbox: "
            "nothing tells what was published. Decide with: processor shards announce --again or --skip"
        )
    return announced_seq


def _position(tail: Tail, log: int) -> tuple[int, int]:
    if tail.seq is not None:
        return tail.seq, tail.index
    if tail.emptied and log >= 0:
        return log, _LAST
    return NOTHING


def _start(seq: int, reached: tuple[int, int]) -> int:
    if seq > reached[0]:
        return 0
    return reached[1] + 1 if seq == reached[0] else _LAST


_LAST = 1 << 62
